#include "core/extjson.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Doc;
using vm_test::Json;

// The kind's number with its payloads: "oid "ab"", or "none".
std::string Shape(std::string_view text) {
    static const char* const kNames[] = {
        "none",      "oid",       "date", "int", "long",   "double", "decimal", "binary",  "uuid", "regex",
        "timestamp", "undefined", "min",  "max", "symbol", "code",   "scope",   "pointer", "ref"};
    const Doc doc(text);
    const Wrapped w = Recognise(doc.tape, 0);
    std::string s = kNames[static_cast<size_t>(w.kind)];
    if (w.a) s += " " + Json(doc.tape, w.a);
    if (w.b) s += " " + Json(doc.tape, w.b);
    return s;
}

TEST(ExtJsonTest, EveryWrapper) {
    EXPECT_EQ(Shape(R"({"$oid":"5d"})"), R"(oid "5d")");
    EXPECT_EQ(Shape(R"({"$date":1})"), "date 1");
    EXPECT_EQ(Shape(R"({"$date":{"$numberLong":"1"}})"), R"(date {"$numberLong": "1"})");
    EXPECT_EQ(Shape(R"({"$numberInt":"1"})"), R"(int "1")");
    EXPECT_EQ(Shape(R"({"$numberLong":1})"), "long 1");
    EXPECT_EQ(Shape(R"({"$numberDouble":"NaN"})"), R"(double "NaN")");
    EXPECT_EQ(Shape(R"({"$numberDecimal":"1E-6176"})"), R"(decimal "1E-6176")");
    EXPECT_EQ(Shape(R"({"$binary":{"base64":"AQ==","subType":"04"}})"), R"(binary "AQ==" "04")");
    EXPECT_EQ(Shape(R"({"$binary":{"subType":"04","base64":"AQ=="}})"), R"(binary "AQ==" "04")");
    EXPECT_EQ(Shape(R"({"$binary":"AQ==","$type":"04"})"), R"(binary "AQ==" "04")");
    EXPECT_EQ(Shape(R"({"$type":"04","$binary":"AQ=="})"), R"(binary "AQ==" "04")");
    EXPECT_EQ(Shape(R"({"$uuid":"c8"})"), R"(uuid "c8")");
    EXPECT_EQ(Shape(R"({"$regularExpression":{"options":"i","pattern":"a"}})"), R"(regex "a" "i")");
    EXPECT_EQ(Shape(R"({"$options":"i","$regex":"a"})"), R"(regex "a" "i")");
    EXPECT_EQ(Shape(R"({"$timestamp":{"t":1,"i":2}})"), "timestamp 1 2");
    EXPECT_EQ(Shape(R"({"$undefined":true})"), "undefined true");
    EXPECT_EQ(Shape(R"({"$minKey":1})"), "min 1");
    EXPECT_EQ(Shape(R"({"$maxKey":1})"), "max 1");
    EXPECT_EQ(Shape(R"({"$symbol":"s"})"), R"(symbol "s")");
    EXPECT_EQ(Shape(R"({"$code":"c"})"), R"(code "c")");
    EXPECT_EQ(Shape(R"({"$scope":{"a":1},"$code":"c"})"), R"(scope "c" {"a": 1})");
    EXPECT_EQ(Shape(R"({"$dbPointer":{"$ref":"c","$id":1}})"), R"(pointer {"$id": 1, "$ref": "c"})");
    EXPECT_EQ(Shape(R"({"$ref":"c","$id":1})"), R"(ref "c" 1)");
    EXPECT_EQ(Shape(R"({"$db":"d","$id":1,"$ref":"c"})"), R"(ref "c" 1)");
}

TEST(ExtJsonTest, AnythingElseIsNone) {
    for (const char* text : {"{}",
                             "[]",
                             "1",
                             "\"$oid\"",
                             R"([{"$oid":"5d"}])",
                             R"({"a":{"$oid":"5d"}})",
                             R"({"$oid":"5d","x":1})",
                             R"({"x":1,"$oid":"5d"})",
                             R"({"oid":"5d"})",
                             R"({"$Oid":"5d"})",
                             R"({"$oi":"5d"})",
                             R"({"$oid ":"5d"})",
                             R"({"$date":1,"$oid":"5d"})",
                             R"({"$type":"string"})",
                             R"({"$regex":"a"})",
                             R"({"$options":"i"})",
                             R"({"$binary":"AQ=="})",
                             R"({"$binary":{"base64":"AQ=="}})",
                             R"({"$binary":{"base64":"","subType":"0","x":1}})",
                             R"({"$binary":{"base64":"","subType":"0"},"$type":"0","x":1})",
                             R"({"$timestamp":1})",
                             R"({"$timestamp":{"t":1}})",
                             R"({"$regularExpression":"a"})",
                             R"({"$scope":{}})",
                             R"({"$ref":"c"})",
                             R"({"$ref":"c","$id":1,"x":1})",
                             R"({"$ref":"c","$id":1,"$db":"d","x":1})",
                             R"({"$gt":1})"})
        EXPECT_EQ(Shape(text), "none") << text;
}

TEST(ExtJsonTest, OfEqualKeysTheLastCounts) {
    EXPECT_EQ(Shape(R"({"$oid":"a","$oid":"b"})"), R"(oid "b")");
    EXPECT_EQ(Shape(R"({"$oid":"a","\u0024oid":"b"})"), R"(oid "b")");
    EXPECT_EQ(Shape(R"({"\u0024date":1})"), "date 1");
    EXPECT_EQ(Shape(R"({"$date":1,"$date":2,"$date":3,"$date":4,"$date":5})"), "date 5");
    EXPECT_EQ(Shape(R"({"$timestamp":{"t":1,"i":2,"t":3}})"), "timestamp 3 2");
}

TEST(MemberTest, LastOfEqualNamesAtTheTopOnly) {
    const Doc doc(R"({"a":{"b":1},"b":2,"":3,"b":[4],"c":null})");
    EXPECT_EQ(Json(doc.tape, Member(doc.tape, 0, "b")), "[4]");
    EXPECT_EQ(Json(doc.tape, Member(doc.tape, 0, "")), "3");
    EXPECT_EQ(Json(doc.tape, Member(doc.tape, 0, "c")), "null");
    EXPECT_EQ(Member(doc.tape, 0, "B"), 0u);
    EXPECT_EQ(Member(doc.tape, Member(doc.tape, 0, "c"), "b"), 0u);
    const Doc array(R"(["b", {"b": 1}])");
    EXPECT_EQ(Member(array.tape, 0, "b"), 0u);
}

}  // namespace
}  // namespace vm
