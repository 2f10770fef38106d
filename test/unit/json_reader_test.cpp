#include "core/json_reader.h"

#include <memory>

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Repeat;

// The text in a block of exactly the promised size, so that the address sanitizer sees a read past its
// padding.
class Reader {
  public:
    Reason Read(std::string_view text, const ReadLimits& limits = {}) {
        const size_t size = 1 + text.size() + kReadAhead;
        buffer_.reset(new char[size]());
        std::memcpy(buffer_.get() + 1, text.data(), text.size());
        return ReadJson(buffer_.get() + 1, text.size(), limits, &tape);
    }
    Tape tape;

  private:
    std::unique_ptr<char[]> buffer_;
};

Reason Verdict(std::string_view text, const ReadLimits& limits = {}) {
    return Reader().Read(text, limits);
}

std::string Text(const Node& n) {
    return {n.text, n.len};
}

TEST(JsonReaderTest, NodesInDocumentOrder) {
    Reader r;
    ASSERT_EQ(r.Read(R"( {"a": [1.50, "x"], "$b": {}, "c": null} )"), Reason::None);
    const Type expected[] = {Type::Object, Type::Key,    Type::Array, Type::Number, Type::String,
                             Type::Key,    Type::Object, Type::Key,   Type::Null};
    ASSERT_EQ(r.tape.size(), 9u);
    for (uint32_t i = 0; i < 9; ++i) EXPECT_EQ(r.tape[i].type, expected[i]) << i;
    EXPECT_EQ(r.tape[0].count, 3u);
    EXPECT_EQ(r.tape[0].len, 9u);
    EXPECT_TRUE(r.tape[0].dollar);
    EXPECT_FALSE(r.tape[6].dollar);
    EXPECT_EQ(r.tape.After(2), 5u);
    EXPECT_EQ(Text(r.tape[3]), "1.50");
    EXPECT_STREQ(r.tape[4].text, "x");
}

TEST(JsonReaderTest, RefusesWhatIsNoJson) {
    for (const char* text : {"",
                             " ",
                             "{",
                             "[",
                             "[1",
                             "{\"a\"",
                             "{\"a\":",
                             "{\"a\":1",
                             "{\"a\":1,}",
                             "[1,]",
                             "[,1]",
                             "{,}",
                             "{a:1}",
                             "{'a':1}",
                             "{\"a\" 1}",
                             "{\"a\":1 \"b\":2}",
                             "{1:2}",
                             "1 2",
                             "{}{}",
                             "{} x",
                             "nul",
                             "True",
                             "NaN",
                             "Infinity",
                             "-Infinity",
                             "-",
                             "+1",
                             ".5",
                             "5.",
                             "01",
                             "-01",
                             "1e",
                             "1e+",
                             "0x1",
                             "\"",
                             "\"\\\"",
                             "\"\\x41\"",
                             "\"\\u12\"",
                             "\"\\u12g4\"",
                             "\"a\nb\"",
                             "\"\t\"",
                             "\xEF\xBB\xBF{}",
                             "\xC2\xA0{}",
                             "/**/1",
                             "[1]//",
                             "\v1",
                             "]",
                             "}"})
        EXPECT_EQ(Verdict(text), Reason::NotJson) << text;
    EXPECT_EQ(Verdict({"{}\0", 3}), Reason::NotJson);
    EXPECT_EQ(Verdict({"\"a\0b\"", 5}), Reason::NotJson);
}

TEST(JsonReaderTest, EveryBeginningOfADocumentIsRefused) {
    const std::string_view doc =
        R"({"_id":{"$oid":"5dea38"},"n":[-1.5e+3,true,null,"\u00e9\ud83d\ude00\n"],"x":{}})";
    for (size_t n = 0; n < doc.size(); ++n) EXPECT_EQ(Verdict(doc.substr(0, n)), Reason::NotJson) << n;
    EXPECT_EQ(Verdict(doc), Reason::None);
}

TEST(JsonReaderTest, ScalarRootsAndBlanks) {
    for (const char* text : {"null", " true\n", "\tfalse\r", "0", "-0", "\"\"", "[]", "{}", "\r\n [ ] "})
        EXPECT_EQ(Verdict(text), Reason::None) << text;
}

// Where the 16-byte scan of strings and the padding meet.
TEST(JsonReaderTest, StringsOfEveryLengthAroundTheScansWidth) {
    for (size_t n = 0; n <= 100; ++n) {
        const std::string plain = Repeat("x", n);
        Reader r;
        ASSERT_EQ(r.Read("\"" + plain + "\""), Reason::None) << n;
        EXPECT_EQ(Text(r.tape[0]), plain);
        EXPECT_EQ(r.tape[0].text[n], '\0');
        EXPECT_EQ(Verdict("\"" + plain), Reason::NotJson) << n;
        EXPECT_EQ(Verdict("\"" + plain + "\n\""), Reason::NotJson) << n;
        EXPECT_EQ(Verdict("\"" + plain + "\\"), Reason::NotJson) << n;
        ASSERT_EQ(r.Read("\"" + plain + "\\n" + plain + "\\u0041\""), Reason::None) << n;
        EXPECT_EQ(Text(r.tape[0]), plain + "\n" + plain + "A");
        ASSERT_EQ(r.Read("\"" + plain + "\xFF\x7F\""), Reason::None)
            << "bytes above 0x7F are no control characters";
    }
}

TEST(JsonReaderTest, Escapes) {
    Reader r;
    ASSERT_EQ(r.Read(R"(["\"\\\/\b\f\n\r\t","\u00e9\u20AC","\ud83d\ude00","\u0001\u007f"])"), Reason::None);
    EXPECT_EQ(Text(r.tape[1]), "\"\\/\b\f\n\r\t");
    EXPECT_EQ(Text(r.tape[2]), "é€");
    EXPECT_EQ(Text(r.tape[3]), "😀");
    EXPECT_EQ(Text(r.tape[4]), "\x01\x7F");
}

TEST(JsonReaderTest, RefusesNulAndHalvesOfSurrogatePairs) {
    for (const char* escape :
         {"\\u0000", "a\\u0000b", "\\ud83d", "\\ud83dx", "\\ud83d\\n", "\\ude00", "\\udc00", "x\\udfff",
          "\\ude00\\ud83d", "\\ud83d\\ud83d", "\\ud83d\\u0041", "\\uD800", "\\uDBFF"}) {
        const std::string text = std::string("\"") + escape + "\"";
        EXPECT_EQ(Verdict(text), Reason::NotJson) << text;
        EXPECT_EQ(Verdict("{" + text + ":1}"), Reason::NotJson) << text;
        EXPECT_EQ(Verdict("[\"plain\"," + text + ",\"plain\"]"), Reason::NotJson) << text;
    }
    EXPECT_EQ(Verdict("\"\\n\xED\x9F\xBF\""), Reason::None) << "U+D7FF is no surrogate";
}

TEST(JsonReaderTest, NumbersStayText) {
    for (const char* number :
         {"0", "-0", "1E2", "1.50e-2", "1e131071", "1e-16383", "0e400", "1e400", "-1.5E+3", "0e1073741822",
          "12345678901234567890123456789012345678901234567890"}) {
        Reader r;
        ASSERT_EQ(r.Read(std::string("[") + number + "]"), Reason::None) << number;
        EXPECT_EQ(Text(r.tape[1]), number);
        ASSERT_EQ(r.Read(number), Reason::None) << number;
        EXPECT_EQ(Text(r.tape[0]), number);
    }
    const std::string digits = Repeat("1234567890", 40);
    Reader r;
    ASSERT_EQ(r.Read("{\"n\":" + digits + "}"), Reason::None);
    EXPECT_EQ(Text(r.tape[2]), digits);
}

TEST(JsonReaderTest, RefusesNumbersThatNumericCannotHold) {
    for (const std::string& number :
         {std::string("1e131072"), std::string("1e-16384"), std::string("0e-2147483639"),
          std::string("1e2147483648"), "1." + Repeat("1", 20) + "e-2147483639", "0." + Repeat("0", 16384),
          Repeat("9", 131073)}) {
        EXPECT_EQ(Verdict(number), Reason::NotJson) << number.substr(0, 60);
        EXPECT_EQ(Verdict("{\"x\":" + number + "}"), Reason::NotJson) << number.substr(0, 60);
    }
}

TEST(JsonReaderTest, DepthIsTheServersToJudge) {
    const std::string shallow = Repeat("[", 2000) + Repeat("]", 2000);
    const std::string deep = Repeat("[", 100000) + Repeat("]", 100000);
    const std::string objects = Repeat("{\"a\":", 100000) + "1" + Repeat("}", 100000);
    EXPECT_EQ(Verdict(shallow), Reason::None);
    EXPECT_EQ(Verdict("[" + shallow + "]"), Reason::NeedsServer);
    EXPECT_EQ(Verdict(deep), Reason::NeedsServer);
    EXPECT_EQ(Verdict(Repeat("[", 100000)), Reason::NeedsServer);
    ReadLimits judged;
    judged.judged = true;
    Reader r;
    EXPECT_EQ(r.Read(deep, judged), Reason::None);
    EXPECT_EQ(r.tape.size(), 100000u);
    EXPECT_EQ(r.Read(objects, judged), Reason::None);
    EXPECT_EQ(r.tape[0].len, r.tape.size());
    EXPECT_EQ(Verdict(Repeat("[", 100000), judged), Reason::NotJson);
}

TEST(JsonReaderTest, ManyNodes) {
    Reader r;
    ASSERT_EQ(r.Read("[" + Repeat("1,", 999999) + "1]"), Reason::None);
    EXPECT_EQ(r.tape[0].count, 1000000u);
    EXPECT_EQ(r.tape.size(), 1000001u);
}

TEST(JsonReaderTest, CancelFlagIsPolled) {
    volatile std::sig_atomic_t cancel = 0;
    ReadLimits limits;
    limits.cancel = &cancel;
    const std::string text = "[" + Repeat("1,", 10000) + "1]";
    EXPECT_EQ(Verdict(text, limits), Reason::None);
    cancel = 1;
    EXPECT_EQ(Verdict(text, limits), Reason::Cancelled);
    EXPECT_EQ(Verdict(text), Reason::None);
}

// In another encoding the bytes ED A0 may be text; the server converts the escapes.
TEST(JsonReaderTest, SurrogatesAreLookedForInUtf8Only) {
    ReadLimits latin;
    latin.utf8 = false;
    EXPECT_EQ(Verdict("\"\\n\xED\xA0\"", latin), Reason::None);
    EXPECT_EQ(Verdict("\"\\u0000\"", latin), Reason::NotJson);
}

TEST(JsonReaderTest, ATapeIsReused) {
    Reader r;
    ASSERT_EQ(r.Read("[1,2,3,4]"), Reason::None);
    ASSERT_EQ(r.Read("{}"), Reason::None);
    EXPECT_EQ(r.tape.size(), 1u);
    EXPECT_FALSE(r.tape[0].dollar);
}

}  // namespace
}  // namespace vm
