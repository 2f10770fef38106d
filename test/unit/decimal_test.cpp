#include "core/decimal.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Hex;
using vm_test::Repeat;
using vm_test::Str;

Decimal Number(std::string_view text, bool loose = false) {
    Decimal d;
    EXPECT_TRUE(ParseDecimal(text, loose, &d)) << text;
    return d;
}

std::string Text(std::string_view number) {
    Bytes out;
    AppendNumericText(Number(number), &out);
    return Str(out);
}

// The stored form without its varlena header.
std::string Stored(std::string_view number) {
    Bytes out;
    AppendNumeric(Number(number), &out);
    EXPECT_EQ(vm_test::U32(out.data()), VarlenaHeader(static_cast<uint32_t>(out.size())));
    return Hex(Str(out).substr(4));
}

std::string Floored(std::string_view number) {
    Bytes out;
    out.Append("=");  // what stands before it is not touched
    AppendFloorText(Number(number), &out);
    EXPECT_EQ(out.data()[0], '=');
    return Str(out).substr(1);
}

std::string Int(std::string_view number, Rounding rounding, int64_t min = INT64_MIN,
                int64_t max = INT64_MAX) {
    int64_t v = 0;
    switch (DecimalToInt(Number(number), rounding, min, max, &v)) {
        case ToInt::Ok: return std::to_string(v);
        case ToInt::HasFraction: return "fraction";
        default: return "range";
    }
}

TEST(DecimalTest, ParsesLooselyWhatNumericInTakes) {
    Decimal d;
    for (const char* text : {" 5 ", "+5", ".5", "5.", "-.5e+1", "\t5\v\f\r\n", "5E3", "007"})
        EXPECT_TRUE(ParseDecimal(text, true, &d)) << text;
    for (const char* text : {"", " ", ".", "-", "+", "e5", ".e5", "5e", "5e+", "--5", "5 5", "0x10", "1_000",
                             "5,0", "NaN", "5\xC2\xA0", "1e5.0"})
        EXPECT_FALSE(ParseDecimal(text, true, &d)) << text;
    for (const char* text : {" 5", "+5", "5 "}) EXPECT_FALSE(ParseDecimal(text, false, &d)) << text;
}

TEST(DecimalTest, ParsesSpecials) {
    Special s;
    ASSERT_TRUE(ParseSpecial(" nAn ", &s));
    EXPECT_EQ(s, Special::NaN);
    ASSERT_TRUE(ParseSpecial("+INF", &s));
    EXPECT_EQ(s, Special::Infinity);
    ASSERT_TRUE(ParseSpecial("-Infinity", &s));
    EXPECT_EQ(s, Special::MinusInfinity);
    for (const char* text : {"", "-", "+nan", "-nan", "infinit", "- inf", "in", "infinity0"})
        EXPECT_FALSE(ParseSpecial(text, &s)) << text;
}

// Limits as numeric_in of PostgreSQL 15 has them.
TEST(DecimalTest, FitsWhatNumericHolds) {
    for (const char* text : {"1e131071", "1e-16383", "0e400", "0e1073741822", "0e-16383", "9.99e131071",
                             "0.1e131072", "1e00000000005"})
        EXPECT_TRUE(NumberFitsNumeric(text)) << text;
    for (const char* text : {"1e131072", "1e-16384", "10e131071", "1.0e-16383", "0e1073741823", "0e-16384",
                             "0e-1073741823", "1e2147483648", "1.5e-2147483639", "1e99999999999999999999"})
        EXPECT_FALSE(NumberFitsNumeric(text)) << text;
    EXPECT_TRUE(NumberFitsNumeric(Repeat("9", 131072)));
    EXPECT_FALSE(NumberFitsNumeric(Repeat("9", 131073)));
    EXPECT_TRUE(NumberFitsNumeric("0." + Repeat("0", 16382) + "1"));
    EXPECT_FALSE(NumberFitsNumeric("0." + Repeat("0", 16383) + "1"));
    EXPECT_FALSE(NumberFitsNumeric("1." + Repeat("0", 16384))) << "the scale counts, not the value";
    EXPECT_TRUE(NumberFitsNumeric("1." + Repeat("0", 16384) + "e1"));
}

TEST(DecimalTest, TextIsNumericOuts) {
    EXPECT_EQ(Text("-0"), "0");
    EXPECT_EQ(Text("-0.0"), "0.0");
    EXPECT_EQ(Text("-0e5"), "0");
    EXPECT_EQ(Text("0e-3"), "0.000");
    EXPECT_EQ(Text("1E2"), "100");
    EXPECT_EQ(Text("1.10"), "1.10");
    EXPECT_EQ(Text("1.50e-2"), "0.0150");
    EXPECT_EQ(Text("1.50e1"), "15.0");
    EXPECT_EQ(Text("1.50e2"), "150");
    EXPECT_EQ(Text("0.005e3"), "5");
    EXPECT_EQ(Text("0.005e2"), "0.5");
    EXPECT_EQ(Text("-12345.6789e-3"), "-12.3456789");
    EXPECT_EQ(Text("1e131071"), "1" + Repeat("0", 131071));
    EXPECT_EQ(Text("1e-16383"), "0." + Repeat("0", 16382) + "1");
    const std::string long_number = Repeat("1234567890", 40);
    EXPECT_EQ(Text(long_number), long_number);
}

// Bytes read from heap pages of PostgreSQL 15.20.
TEST(DecimalTest, StoredFormIsTheServers) {
    const struct {
        const char *text, *stored;
    } kKnown[] = {
        {"0", "0080"},
        {"-0", "0080"},
        {"0e5", "0080"},
        {"0.00", "0081"},
        {"-0.00", "0081"},
        {"-1", "00a00100"},
        {"1E2", "00806400"},
        {"1.50e-2", "7f829600"},
        {"0.0001", "7f820100"},
        {"10000", "01800100"},
        {"9999999999999999", "03800f270f270f270f27"},
        {"100000000000000000000", "05800100"},
        {"12345678.90", "0181d2042e162823"},
        {"12345.6789e-3", "80830c00800dd21e"},
        {"1e255", "3f80e803"},
        {"1e256", "000040000100"},  // past the short header's weight
        {"-1e300", "00404b000100"},
        {"1e-70", "4600eeff6400"},  // past the short header's scale
        {"1e-16383", "ff3f00f00a00"},
        {"1e131071", "0000ff7fe803"},
    };
    for (const auto& known : kKnown) EXPECT_EQ(Stored(known.text), known.stored) << known.text;
}

TEST(DecimalTest, StoredFormReadsBackAsTheText) {
    std::vector<std::string> numbers = {"1e131071", Repeat("1234567890", 40), "1e-16383",
                                        "-" + Repeat("9", 131072)};
    for (const char* digits :
         {"1", "10", "12", "12000", "123456789", "1.5", "0.00012", "100.00", "90000.00009"})
        for (int e = -25; e <= 25; ++e) numbers.push_back(std::string(digits) + "e" + std::to_string(e));
    for (int n = 1; n <= 40; ++n) {
        numbers.push_back(Repeat("9", static_cast<size_t>(n)));
        numbers.push_back("-1" + Repeat("0", static_cast<size_t>(n)) + ".0" +
                          Repeat("7", static_cast<size_t>(n)));
    }
    for (const std::string& number : numbers) {
        Bytes out;
        std::string text;
        AppendNumeric(Number(number), &out);
        ASSERT_TRUE(vm_test::NumericText(vm_test::VarlenaPayload(out.data()), &text)) << number.substr(0, 80);
        EXPECT_EQ(text, Text(number)) << number.substr(0, 80);
    }
}

TEST(DecimalTest, StoredSpecials) {
    const auto stored = [](Special s) {
        Bytes out;
        AppendNumericSpecial(s, &out);
        return Hex(Str(out));
    };
    EXPECT_EQ(stored(Special::NaN), "1800000000c0");
    EXPECT_EQ(stored(Special::Infinity), "1800000000d0");
    EXPECT_EQ(stored(Special::MinusInfinity), "1800000000f0");
}

TEST(DecimalTest, ToIntRounds) {
    EXPECT_EQ(Int("2.5", Rounding::Exact), "fraction");
    EXPECT_EQ(Int("2.000", Rounding::Exact), "2");
    EXPECT_EQ(Int("1.5e3", Rounding::Exact), "1500");
    EXPECT_EQ(Int("15000e-3", Rounding::Exact), "15");
    EXPECT_EQ(Int("2.5", Rounding::HalfAway), "3");
    EXPECT_EQ(Int("-2.5", Rounding::HalfAway), "-3");
    EXPECT_EQ(Int("-0.5", Rounding::HalfAway), "-1");
    EXPECT_EQ(Int("0.49999", Rounding::HalfAway), "0");
    EXPECT_EQ(Int("0.05", Rounding::HalfAway), "0");
    EXPECT_EQ(Int("5e-1", Rounding::HalfAway), "1");
    EXPECT_EQ(Int("5e-2", Rounding::HalfAway), "0");
    EXPECT_EQ(Int("2.9", Rounding::Floor), "2");
    EXPECT_EQ(Int("-1.5", Rounding::Floor), "-2");
    EXPECT_EQ(Int("-1e-9", Rounding::Floor), "-1");
    EXPECT_EQ(Int("-2.0", Rounding::Floor), "-2");
    EXPECT_EQ(Int("-0", Rounding::Floor), "0");
    EXPECT_EQ(Int("0e400", Rounding::Exact), "0");
    EXPECT_EQ(Int("1e-2147483639", Rounding::Floor), "0");
    EXPECT_EQ(Int("1e-2147483639", Rounding::Exact), "fraction");
}

TEST(DecimalTest, ToIntKnowsItsEnds) {
    EXPECT_EQ(Int("9223372036854775807", Rounding::Exact), "9223372036854775807");
    EXPECT_EQ(Int("9223372036854775808", Rounding::Exact), "range");
    EXPECT_EQ(Int("-9223372036854775808", Rounding::Exact), "-9223372036854775808");
    EXPECT_EQ(Int("-9223372036854775809", Rounding::Exact), "range");
    EXPECT_EQ(Int("9223372036854775807.4", Rounding::HalfAway), "9223372036854775807");
    EXPECT_EQ(Int("9223372036854775807.5", Rounding::HalfAway), "range");
    EXPECT_EQ(Int("18446744073709551616", Rounding::Exact), "range") << "2^64 wraps to 0";
    EXPECT_EQ(Int("18446744073709551615.9", Rounding::HalfAway), "range");
    EXPECT_EQ(Int("1e400", Rounding::Exact), "range");
    EXPECT_EQ(Int("1e999999999999999", Rounding::Exact), "range");
    EXPECT_EQ(Int("-128", Rounding::Exact, -128, 127), "-128");
    EXPECT_EQ(Int("-129", Rounding::Exact, -128, 127), "range");
    EXPECT_EQ(Int("127.5", Rounding::HalfAway, -128, 127), "range");
    EXPECT_EQ(Int("127.5", Rounding::Floor, -128, 127), "127");
}

TEST(DecimalTest, ToIntKeepsToAMinimumAboveZero) {
    EXPECT_EQ(Int("1", Rounding::Exact, 1, 99), "1");
    EXPECT_EQ(Int("0", Rounding::Exact, 1, 99), "range");
    EXPECT_EQ(Int("-1", Rounding::Exact, 1, 99), "range");
    EXPECT_EQ(Int("-1", Rounding::Exact, 0, 255), "range");
}

TEST(DecimalTest, FloorText) {
    EXPECT_EQ(Floored("1.9999"), "1");
    EXPECT_EQ(Floored("-1.5"), "-2");
    EXPECT_EQ(Floored("-0.5"), "-1");
    EXPECT_EQ(Floored("-9.5"), "-10");
    EXPECT_EQ(Floored("-999.001"), "-1000");
    EXPECT_EQ(Floored("-1e-300"), "-1");
    EXPECT_EQ(Floored("1e-300"), "0");
    EXPECT_EQ(Floored("-0"), "0");
    EXPECT_EQ(Floored("-0.000"), "0");
    EXPECT_EQ(Floored("-5.000"), "-5");
    EXPECT_EQ(Floored("1e3"), "1000");
    EXPECT_EQ(Floored("-12.5e1"), "-125");
    EXPECT_EQ(Floored("123456789012345678901234.9"), "123456789012345678901234");
    EXPECT_EQ(Floored("1e131071"), "1" + Repeat("0", 131071));
}

}  // namespace
}  // namespace vm
