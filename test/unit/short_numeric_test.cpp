#include "core/short_numeric.h"

#include "core/decimal.h"
#include "helpers.h"

namespace vm {
namespace {

using vm_test::Hex;

// What the short way writes; empty if it leaves the text to the long one.
std::string Short(const std::string& text) {
    const std::string padded = text + std::string(kTextPadding, '7');
    char to[kShortNumericMost];
    return Hex({to, ShortNumeric(padded.data(), text.size(), to)});
}

std::string Long(std::string_view text) {
    Bytes out;
    AppendNumericFromJson(text, &out);
    return Hex({out.data(), out.size()});
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
TEST(ShortNumericTest, WritesWhatTheLongWayWrites) {
    const char* const kParts[] = {"0",       "5",        "10",       "99",       "100",      "9999",
                                  "10000",   "10001",    "12340000", "12345678", "50000000", "99999999",
                                  "1000000", "00000001", "00010000", "0000",     "0001"};
    for (const std::string sign : {"", "-"})
        for (const std::string whole : kParts) {
            EXPECT_EQ(Short(sign + whole), Long(sign + whole)) << sign << whole;
            for (const std::string rest : kParts) {
                EXPECT_EQ(Short(sign + whole + rest), Long(sign + whole + rest)) << sign << whole << rest;
                const std::string point = sign + whole + "." + rest;
                EXPECT_EQ(Short(point), Long(point)) << point;
            }
        }
}
#endif

TEST(ShortNumericTest, LeavesTheRest) {
    for (const char* text :
         {"", "-", ".", "-.", ".5", "5.", "1e5", "1E-5", "1.5e3", "12a4", "1.2.3", "1-2", "1 ",
          "12345678901234567", "123456789.5", "0.123456789", "12345678.123456789", "+1", "\xB1"})
        EXPECT_EQ(Short(text), "") << text;
}

}  // namespace
}  // namespace vm
