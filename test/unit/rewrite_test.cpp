#include "core/rewrite.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Doc;
using vm_test::Json;
using vm_test::Repeat;

// The stored jsonb is what counts, so every tape that is made goes through its writer too.
std::string Checked(const Tape& tape, uint32_t node) {
    Bytes out;
    std::string text;
    EXPECT_TRUE(JsonbWriter().Write(tape, node, &out));
    EXPECT_TRUE(vm_test::JsonbText().Read(out.data(), &text));
    EXPECT_EQ(text, Json(tape, node));
    return text;
}

std::string Normal(std::string_view json) {
    const Doc doc(json);
    Tape out;
    Rewriter rewriter;
    out.Push(Type::Null, nullptr, 0);  // something stands there already
    return Checked(out, rewriter.Normalize(doc.tape, 0, &out));
}

// With floors {"count": 0, "n": -7}: the object, "+" in front if it was concatenated, "bad" and which floor.
std::string Floors(std::string_view json) {
    const Doc doc(json);
    const std::vector<Floor> floors = {{"count", "0"}, {"n", "-7"}};
    Tape out;
    Rewriter rewriter;
    uint32_t result = 0;
    bool concatenated = false;
    size_t bad = 99;
    const Reason reason = rewriter.ApplyFloors(doc.tape, 0, floors, &out, &result, &concatenated, &bad);
    if (reason != Reason::None) return "bad " + floors[bad].name + " " + Info(reason).sqlstate;
    return (concatenated ? "+" : "") + Checked(out, result);
}

TEST(NormalizeTest, EveryWrapper) {
    EXPECT_EQ(Normal(R"({"$oid":"5dea38507b0b3a0012345678"})"), R"("5dea38507b0b3a0012345678")");
    EXPECT_EQ(Normal(R"({"$date":1575648464123})"), R"("2019-12-06T16:07:44.123Z")");
    EXPECT_EQ(Normal(R"({"$date":"2019-12-06T18:07:44+02:00"})"), R"("2019-12-06T16:07:44.000Z")");
    EXPECT_EQ(Normal(R"({"$date":{"$numberLong":"-62135596800000"}})"), R"("0001-01-01T00:00:00.000Z")");
    EXPECT_EQ(Normal(R"({"$date":null})"), "null");
    EXPECT_EQ(Normal(R"({"$numberInt":"-0"})"), "0");
    EXPECT_EQ(Normal(R"({"$numberLong":9007199254740993})"), "9007199254740993");
    EXPECT_EQ(Normal(R"({"$numberDouble":"1.10"})"), "1.10");
    EXPECT_EQ(Normal(R"({"$numberDouble":"NaN"})"), R"("NaN")");
    EXPECT_EQ(Normal(R"({"$numberDouble":"-Infinity"})"), R"("-Infinity")");
    EXPECT_EQ(Normal(R"({"$numberDecimal":"1E+3"})"), "1000");
    EXPECT_EQ(Normal(R"({"$numberDecimal":"inf"})"), R"("Infinity")");
    EXPECT_EQ(Normal(R"({"$binary":{"base64":"AQI=","subType":"00"}})"), R"("AQI=")");
    EXPECT_EQ(Normal(R"({"$binary":"AAECAwQFBgcICQoLDA0ODw==","$type":"04"})"),
              R"("00010203-0405-0607-0809-0a0b0c0d0e0f")");
    EXPECT_EQ(Normal(R"({"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"})"),
              R"("c8edabc3-f738-4ca3-b68d-ab92a91478a3")");
    EXPECT_EQ(Normal(R"({"$undefined":true})"), "null");
    EXPECT_EQ(Normal(R"({"$symbol":"s"})"), R"("s")");
    EXPECT_EQ(Normal(R"({"$code":"f(x);"})"), R"("f(x);")");
}

TEST(NormalizeTest, WhatPlainJsonCannotHoldStays) {
    for (const char* json :
         {R"({"$oid": "5dea"})", R"({"$date": 253402300800000})", R"({"$date": "now"})",
          R"({"$numberInt": "x"})", R"({"$numberDecimal": "1E-20000"})", R"({"$minKey": 1})",
          R"({"$maxKey": 1})", R"({"$timestamp": {"i": 1, "t": 1575648464}})",
          R"({"$regex": "a", "$options": "i"})",
          R"({"$regularExpression": {"options": "i", "pattern": "a"}})",
          R"({"$code": "f(x);", "$scope": {"a": 1}})",
          R"({"$id": {"$oid": "5dea38507b0b3a0012345678"}, "$ref": "c"})",
          R"({"x": 1, "$oid": "5dea38507b0b3a0012345678"})", R"({"$gt": 1})",
          R"({"a": [1.10, "x", null, true, {}]})", R"({"$type": "00", "$binary": 5})"})
        EXPECT_EQ(Normal(json), json);
}

TEST(NormalizeTest, AtAnyDepthAndBesideOthers) {
    EXPECT_EQ(
        Normal(
            R"({"a":{"$numberInt":"1"},"b":[{"$date":0},{"c":{"$oid":"5DEA38507B0B3A0012345678"}},[]],"$x":{"$numberLong":"2"}})"),
        R"({"a": 1, "b": ["1970-01-01T00:00:00.000Z", {"c": "5DEA38507B0B3A0012345678"}, []], "$x": 2})");
    EXPECT_EQ(Normal(R"({"a":{"$numberInt":"1"},"a":{"$numberInt":"2"}})"), R"({"a": 2})");
    const std::string open = Repeat("[{\"a\":", 500), close = Repeat("}]", 500);
    EXPECT_EQ(Normal(open + R"({"$numberInt":"1"})" + close), Repeat("[{\"a\": ", 500) + "1" + close);
}

TEST(CopyTest, KeepsSubtreesWhole) {
    const Doc doc(R"([1,{"a":[2,{"$oid":"x"}],"b":{}},"y"])");
    Tape out;
    out.Push(Type::Null, nullptr, 0);
    const uint32_t copy = Rewriter().Copy(doc.tape, 2, &out);
    EXPECT_EQ(copy, 1u);
    EXPECT_EQ(Checked(out, copy), R"({"a": [2, {"$oid": "x"}], "b": {}})");
    EXPECT_EQ(out.After(copy), out.size());
}

TEST(FloorsTest, Objects) {
    EXPECT_EQ(Floors("{}"), R"({"n": -7, "count": 0})");
    EXPECT_EQ(Floors(R"({"count":null,"n":{"$undefined":true}})"), R"({"n": -7, "count": 0})");
    EXPECT_EQ(Floors(R"({"count":"1.9999","n":-1.5,"x":{"count":2.5}})"),
              R"({"n": -2, "x": {"count": 2.5}, "count": 1})");
    EXPECT_EQ(Floors(R"({"count":" 5 ","n":-0.5})"), R"({"n": -1, "count": 5})");
    EXPECT_EQ(Floors(R"({"count":{"$numberLong":"9007199254740993"},"n":{"$numberDouble":"-1.0"}})"),
              R"({"n": -1, "count": 9007199254740993})");
    EXPECT_EQ(Floors(R"({"count":123456789012345678901234.9})"),
              R"({"n": -7, "count": 123456789012345678901234})");
    EXPECT_EQ(Floors(R"({"count":1,"count":2.5})"), R"({"n": -7, "count": 2})");
    EXPECT_EQ(Floors(R"({"count":1,"count":null})"), R"({"n": -7, "count": 0})");
}

TEST(FloorsTest, WhatIsNoNumberIsRefused) {
    for (const char* value : {"\"\"", "\"abc\"", "true", "[1]", "{}", "\"NaN\"", "\"inf\"", "\"0x10\"",
                              R"({"$oid":"x"})", R"({"$numberDouble":"NaN"})", R"({"$date":1})"}) {
        EXPECT_EQ(Floors(std::string("{\"count\":") + value + "}"), "bad count 22P02") << value;
        EXPECT_EQ(Floors(std::string("{\"count\":1,\"n\":") + value + "}"), "bad n 22P02") << value;
    }
    EXPECT_EQ(Floors(R"({"count":"1e200000"})"), "bad count 22003");
}

// As jsonb's || does it.
TEST(FloorsTest, AnythingElseIsConcatenated) {
    EXPECT_EQ(Floors("[]"), R"(+[{"n": -7, "count": 0}])");
    EXPECT_EQ(Floors("[1,[2],{\"count\":9}]"), R"(+[1, [2], {"count": 9}, {"n": -7, "count": 0}])");
    EXPECT_EQ(Floors("\"x\""), R"(+["x", {"n": -7, "count": 0}])");
    EXPECT_EQ(Floors("5"), R"(+[5, {"n": -7, "count": 0}])");
    EXPECT_EQ(Floors("false"), R"(+[false, {"n": -7, "count": 0}])");
}

// The server's floor() of it is 22003; stored as it is, its weight would wrap to a negative one.
TEST(FloorsTest, FloorPastTheRangeOfNumericIsRefused) {
    const Doc doc("{\"count\":-" + Repeat("9", 131072) + ".5}");
    Tape out;
    Rewriter rewriter;
    uint32_t result = 0;
    bool concatenated = false;
    size_t bad = 99;
    EXPECT_NE(rewriter.ApplyFloors(doc.tape, 0, {{"count", "0"}}, &out, &result, &concatenated, &bad),
              Reason::None);
}

TEST(CollectTest, ListedMembersBecomeAnObject) {
    const Doc doc(R"({"a":1,"b":{"c":[2]},"d":null})");
    Tape out;
    Rewriter rewriter;
    EXPECT_EQ(Checked(out, rewriter.Collect(doc.tape, {3, 8}, &out)), R"({"b": {"c": [2]}, "d": null})");
    EXPECT_EQ(Checked(out, rewriter.Collect(doc.tape, {}, &out)), "{}");
}

TEST(TextPoolTest, AddressesStayAndTextsEndWithNul) {
    TextPool pool;
    std::vector<std::pair<char*, std::string>> all;
    for (int round = 0; round < 2; ++round) {
        for (size_t i = 0; i < 400; ++i) {
            const std::string text(i % 7 == 0   ? 5000 + i
                                   : i % 5 == 0 ? 16384
                                                : i,
                                   static_cast<char>('a' + i % 26));
            all.push_back({pool.Add(text), text});
        }
        for (const auto& [at, text] : all) ASSERT_STREQ(at, text.c_str());
        all.clear();
        pool.Clear();
    }
    EXPECT_STREQ(pool.Add(std::string(9000, 'x')), std::string(9000, 'x').c_str()) << "a large one first";
    EXPECT_STREQ(pool.Add("y"), "y");
}

}  // namespace
}  // namespace vm
