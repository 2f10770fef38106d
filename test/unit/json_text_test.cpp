#include "core/json_text.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Doc;
using vm_test::Json;
using vm_test::Repeat;
using vm_test::Str;

std::string Text(std::string_view json) {
    return Json(Doc(json).tape);
}

TEST(JsonTextTest, PrintsAsJsonbOut) {
    EXPECT_EQ(Text("{}"), "{}");
    EXPECT_EQ(Text("[ ]"), "[]");
    EXPECT_EQ(Text(R"( "x" )"), R"("x")");
    EXPECT_EQ(Text(R"({"bb":[1,null,true,false],"a":{"c":"d"},"b":{},"bb":[[],[2]]})"),
              R"({"a": {"c": "d"}, "b": {}, "bb": [[], [2]]})");
    EXPECT_EQ(Text("[1.10,-0,-0.0,1E2,1.50e-2,0e400]"), "[1.10, 0, 0.0, 100, 0.0150, 0]");
}

TEST(JsonTextTest, EscapesAsEscapeJson) {
    EXPECT_EQ(Text(R"("\b\f\n\r\t\"\\\/\u0001\u001f\u007f\u00e9")"),
              "\"\\b\\f\\n\\r\\t\\\"\\\\/\\u0001\\u001f\x7F\xC3\xA9\"");
    Bytes out;
    AppendJsonString("", &out);
    EXPECT_EQ(Str(out), "\"\"");
}

TEST(JsonTextTest, ReadsBackAsItself) {
    for (const char* json : {R"({"a":[1e2,{"x":"\u0041\n"}],"\"":null,"":[{}]})", "[[[[[]]]]]", "-1.50e-7"}) {
        const std::string once = Text(json);
        EXPECT_EQ(Text(once), once);
    }
}

TEST(JsonTextTest, StopsOnceThereIsEnough) {
    const Doc doc("[" + Repeat("{\"a\":1},", 100000) + "2]");
    Bytes out;
    out.Append("before");
    JsonTextWriter().Write(doc.tape, 0, &out, 80);
    EXPECT_GT(out.size(), 80u);
    EXPECT_LT(out.size(), 200u);
    EXPECT_EQ(Str(out).substr(0, 17), "before[{\"a\": 1}, ");
}

TEST(JsonTextTest, DeepDocumentsNeedNoStack) {
    const Doc doc(Repeat("[", 100000) + Repeat("]", 100000));
    EXPECT_EQ(Json(doc.tape).size(), 200000u);
}

TEST(JsonTextTest, OneValueOfMany) {
    const Doc doc(R"([{"a": 1}, [2], "x"])");
    JsonTextWriter writer;
    Bytes out;
    for (uint32_t i = 1; i < doc.tape[0].len; i = doc.tape.After(i)) writer.Write(doc.tape, i, &out);
    EXPECT_EQ(Str(out), "{\"a\": 1}[2]\"x\"");
}

}  // namespace
}  // namespace vm
