#include "core/jsonb_writer.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Doc;
using vm_test::Hex;
using vm_test::Repeat;

// The stored bytes after the varlena header.
std::string Stored(std::string_view text) {
    const Doc doc(text);
    Bytes out;
    out.Append("xyz");  // a datum starts on a multiple of four, wherever the output stood
    EXPECT_TRUE(JsonbWriter().Write(doc.tape, 0, &out));
    EXPECT_EQ(vm_test::U32(out.data() + 4), VarlenaHeader(static_cast<uint32_t>(out.size() - 4)));
    return Hex({out.data() + 8, out.size() - 8});
}

// Bytes read from heap pages of PostgreSQL 15.20.
TEST(JsonbWriterTest, BytesAreTheServers) {
    const struct {
        const char *text, *stored;
    } kKnown[] = {
        {"{}", "00000020"},
        {"[]", "00000040"},
        {"null", "01000050000000c0"},
        {"true", "01000050000000b0"},
        {"\"abc\"",
         "010000500300008061"
         "6263"},
        {"5",
         "010000500800009020000000"
         "00800500"},
        {"-0",
         "01000050060000901800"
         "00000080"},
        {R"({"a":1})",
         "01000020010000800b00001061000000"
         "2000000000800100"},
        {R"({"bb":[1,"x",null,false],"a":{"c":-1.50}})",
         "0200002001000080020000001b0000501f000050616262000100002001000080"
         "0d0000106300000028000000"
         "00a1010088130000"
         "0400004008000090010000000000004000000020200000000080010078"},
        {R"({"a":1,"\u0061":null})", "01000020010000800000004061"},
        {R"([[],{},"é"])", "03000040040000d004000050020000000000004000000020c3a9"},
        {R"(["a",10])", "02000040010000800b000010610000002000000000800a00"},
    };
    for (const auto& known : kKnown) EXPECT_EQ(Stored(known.text), known.stored) << known.text;
}

// Every 32nd entry holds an offset, the others a length.
TEST(JsonbWriterTest, OffsetStride) {
    EXPECT_EQ(Stored("[" + Repeat("true,false,", 16) + "true,false]"),
              "22000040"
              "000000b0"
              "00000020" +
                  Repeat("0000003000000020", 15) +
                  "000000b0"
                  "00000020");
}

TEST(JsonbWriterTest, ReadsBackAsTheText) {
    std::string many = "{";
    for (int i = 0; i < 200; ++i)
        many += (i ? ",\"" : "\"") + Repeat("k", static_cast<size_t>(i * 37 % 41)) + std::to_string(i) +
                "\":[" + std::to_string(i) + ",\"" + Repeat("v", static_cast<size_t>(i % 7)) + "\",{\"n\":-" +
                std::to_string(i) + ".50}]";
    JsonbWriter writer;  // one writer for all: nothing stays behind
    for (const std::string& text :
         {std::string("{}"), many + "}", std::string(R"({"a":[[[[1]]],"x",[]],"b":{"c":{"d":"y"}},"a":2})"),
          "[" + Repeat("1.5,\"ab\",", 1000) + "null]", std::string("\"\""), std::string("1e131071"),
          Repeat("[", 1900) + Repeat("]", 1900)}) {
        const Doc doc(text);
        Bytes out;
        ASSERT_TRUE(writer.Write(doc.tape, 0, &out)) << text.substr(0, 80);
        std::string read;
        ASSERT_TRUE(vm_test::JsonbText().Read(out.data(), &read)) << text.substr(0, 80);
        EXPECT_EQ(read, vm_test::Json(doc.tape)) << text.substr(0, 80);
    }
}

TEST(JsonbWriterTest, DeepDocumentsNeedNoStack) {
    const Doc doc(Repeat("{\"a\":[", 50000) + Repeat("]}", 50000));
    Bytes out;
    EXPECT_TRUE(JsonbWriter().Write(doc.tape, 0, &out));
}

TEST(JsonbWriterTest, TooLargeIsRefused) {
    // 300 strings of 1 MB, standing on one another: more than a JEntry can say, without the memory for it
    // twice.
    std::string text(1 << 20, 'x');
    Tape tape;
    tape.Push(Type::Array, nullptr, 301);
    tape[0].count = 300;
    for (int i = 0; i < 300; ++i) tape.Push(Type::String, text.data(), static_cast<uint32_t>(text.size()));
    Bytes out;
    EXPECT_FALSE(JsonbWriter().Write(tape, 0, &out));
}

}  // namespace
}  // namespace vm
