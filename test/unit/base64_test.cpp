#include "core/base64.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Hex;
using vm_test::Str;

std::string Decoded(std::string_view text) {
    Bytes out;
    out.Append("x");
    if (!AppendBase64Decoded(text, &out)) {
        EXPECT_EQ(out.size(), 1u) << "a refusal appends nothing";
        return "refused";
    }
    return Hex(Str(out).substr(1));
}

TEST(Base64Test, DecodesWithAndWithoutPadding) {
    EXPECT_EQ(Decoded(""), "");
    EXPECT_EQ(Decoded("AQID"), "010203");
    EXPECT_EQ(Decoded("AQI="), "0102");
    EXPECT_EQ(Decoded("AQ=="), "01");
    EXPECT_EQ(Decoded("+/+/"), "fbffbf");
    EXPECT_EQ(Decoded("AAECAwQFBgcICQoLDA0ODw=="), "000102030405060708090a0b0c0d0e0f");
}

TEST(Base64Test, RefusesWhatIsNoPaddedBase64) {
    for (const char* text :
         {"A", "AQ", "AQI", "AQ=", "====", "A===", "AQ==AQ==", "AQ I", "AQ-_", "AQI\n", "AQ\xC3\xA9"})
        EXPECT_EQ(Decoded(text), "refused") << text;
}

TEST(UuidTest, OneSpellingIsRead) {
    unsigned char bytes[16];
    ASSERT_TRUE(ParseUuid("c8edabc3-F738-4ca3-b68d-ab92a91478a3", bytes));
    Bytes text;
    AppendUuidText(bytes, &text);
    EXPECT_EQ(Str(text), "c8edabc3-f738-4ca3-b68d-ab92a91478a3");
    for (const char* other : {"", "c8edabc3f7384ca3b68dab92a91478a3", "c8edabc3-f738-4ca3-b68d-ab92a91478a",
                              "c8edabc3-f738-4ca3-b68dxab92a91478a3", "g8edabc3-f738-4ca3-b68d-ab92a91478a3",
                              "{c8edabc3-f738-4ca3-b68d-ab92a91478a}"})
        EXPECT_FALSE(ParseUuid(other, bytes)) << other;
}

TEST(ObjectIdTest, FirstFourBytesAreUnsignedSeconds) {
    int64_t seconds = 0;
    ASSERT_TRUE(ParseObjectId("5dea38507b0b3a0012345678", &seconds));
    EXPECT_EQ(seconds, 1575630928);
    ASSERT_TRUE(ParseObjectId("5DEA38507B0B3A0012345678", &seconds));
    EXPECT_EQ(seconds, 1575630928);
    ASSERT_TRUE(ParseObjectId("ffffffff7b0b3a0012345678", &seconds));
    EXPECT_EQ(seconds, 4294967295);
    for (const char* text :
         {"", "5dea3850", "5dea38507b0b3a001234567", "5dea38507b0b3a00123456789", "5dea38507b0b3a001234567g",
          " 5dea38507b0b3a001234567", "0x5dea38507b0b3a00123456"})
        EXPECT_FALSE(ParseObjectId(text, &seconds)) << text;
}

TEST(HexDigitTest, OnlyHexadecimalDigits) {
    int digits = 0;
    for (int c = -128; c < 128; ++c) digits += HexDigit(static_cast<char>(c)) >= 0;
    EXPECT_EQ(digits, 22);
    EXPECT_EQ(HexDigit('F'), 15);
    EXPECT_EQ(HexDigit('\x19'), -1) << "0x19 | 0x20 is '9'";
}

}  // namespace
}  // namespace vm
