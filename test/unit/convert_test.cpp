#include "core/convert.h"

#include "core/datetime.h"
#include "helpers.h"

namespace vm {
namespace {

using vm_test::Doc;
using vm_test::Repeat;
using vm_test::Show;

// The value as Show prints it, or the SQLSTATE with the element or member at fault.
std::string To(const Target& target, std::string_view json) {
    const Doc doc(json);
    Output out;
    Value value;
    out.bytes.Append("xyz");  // alignment has to be made, not found
    const ConvertResult r = Convert(doc.tape, 0, target, &out, &value);
    if (r.reason != Reason::None)
        return std::string(Info(r.reason).sqlstate) +
               (r.element >= 0 ? " at " + std::to_string(r.element) : "") +
               (r.member ? std::string(" in ") + r.member : "");
    return (r.concatenated ? "+" : "") + Show(value, target.kind, &out);
}

std::string To(Kind kind, std::string_view json, Conversion as = Conversion::Own) {
    Target target;
    target.kind = kind;
    target.as = as;
    return To(target, json);
}

std::string ToArray(Kind kind, std::string_view json, Conversion as = Conversion::Own) {
    Target target;
    target.kind = kind;
    target.array = true;
    target.as = as;
    return To(target, json);
}

TEST(ConvertTest, NullIsNullForEveryKind) {
    for (int kind = 0; kind <= static_cast<int>(Kind::Other); ++kind)
        for (const char* json : {"null", R"({"$undefined":true})"}) {
            const Kind k = static_cast<Kind>(kind);
            if (json[0] == '{' && (k == Kind::Json || k == Kind::Jsonb)) continue;  // kept as it is
            EXPECT_EQ(To(k, json), "null") << kind;
            EXPECT_EQ(ToArray(k, json), "null") << kind;
        }
    EXPECT_EQ(To(Kind::Jsonb, R"({"$undefined":true})"), R"({"$undefined": true})");
    EXPECT_EQ(To(Kind::Text, R"({"$date":null})"), "null");
    EXPECT_EQ(To(Kind::Text, R"({"$date":{"$undefined":true}})"), "null");
}

TEST(ConvertTest, Text) {
    EXPECT_EQ(To(Kind::Text, "\"\""), "''");
    EXPECT_EQ(To(Kind::Text, R"("\u00e9\"x")"), "'é\"x'");
    EXPECT_EQ(To(Kind::Text, "12.50"), "'12.50'");
    EXPECT_EQ(To(Kind::Text, "-0"), "'0'");
    EXPECT_EQ(To(Kind::Text, "true"), "'true'");
    EXPECT_EQ(To(Kind::Text, R"({"b":1,"a":[1,  2]})"), R"('{"a": [1, 2], "b": 1}')");
    EXPECT_EQ(To(Kind::Text, R"({"$oid":"5dea38507b0b3a0012345678"})"), "'5dea38507b0b3a0012345678'");
    EXPECT_EQ(To(Kind::Text, R"({"$date":253402300800000})"), R"('{"$date": 253402300800000}')");
    EXPECT_EQ(To(Kind::Text, R"({"$timestamp":{"t":1,"i":2}})"), R"('{"$timestamp": {"i": 2, "t": 1}}')");
    EXPECT_EQ(To(Kind::Text, R"({"$oid":"x"})"), "22P02");
    EXPECT_EQ(To(Kind::Text, R"({"$minKey":1})"), "22P02");
    EXPECT_EQ(To(Kind::Text, R"({"$numberInt":"x"})"), "22P02");
    EXPECT_EQ(To(Kind::Text, R"("x")", Conversion::JsonText), R"('"x"')");
    EXPECT_EQ(To(Kind::Text, R"({"$oid":"x"})", Conversion::JsonText), R"('{"$oid": "x"}')");
    EXPECT_EQ(To(Kind::Text, "null", Conversion::JsonText), "null");
}

// A short header goes over the quote before the string; longer ones need four bytes and are copied.
TEST(ConvertTest, TextInPlaceUpToAShortHeader) {
    for (size_t n : {0u, 1u, 125u, 126u, 127u, 128u, 5000u}) {
        const std::string text = Repeat("x", n);
        const Doc doc("[\"" + text + "\"]");
        Output out;
        Value value;
        Target target;
        ASSERT_EQ(Convert(doc.tape, 1, target, &out, &value).reason, Reason::None);
        EXPECT_EQ(value.in_output, n > 126);
        EXPECT_EQ(Show(value, Kind::Text, &out), "'" + text + "'");
        if (n <= 126) {
            EXPECT_EQ(value.text + 1, doc.tape[1].text);
            EXPECT_EQ(static_cast<unsigned char>(*value.text), (n + 1) << 1 | 1);
        } else {
            EXPECT_EQ(value.offset % 4, 0u);
            EXPECT_EQ(vm_test::U32(out.bytes.data() + value.offset),
                      VarlenaHeader(static_cast<uint32_t>(n + 4)));
        }
        // Converted once more for another column, and as JSON, it is still itself.
        ASSERT_EQ(Convert(doc.tape, 1, target, &out, &value).reason, Reason::None);
        EXPECT_EQ(Show(value, Kind::Text, &out), "'" + text + "'");
        EXPECT_EQ(vm_test::Json(doc.tape), "[\"" + text + "\"]");
    }
}

TEST(ConvertTest, Bool) {
    for (const char* json : {"true", "1", "1e0", "\"yes\"", "\"Y\"", "\" on \"", "\"1\"", "\"TRUE\"",
                             "\"tr\"", "\"\\tt\\n\"", R"({"$numberInt":"1"})", R"({"$numberDouble":"+1"})"})
        EXPECT_EQ(To(Kind::Bool, json), "1") << json;
    for (const char* json : {"false", "0", "-0", "\"of\"", "\"f\"", "\"N\"", "\"0\"", R"({"$numberLong":0})"})
        EXPECT_EQ(To(Kind::Bool, json), "0") << json;
    for (const char* json :
         {"2", "1.0", "\"o\"", "\"\"", "\"maybe\"", "\"truee\"", "\"10\"", "{}", "[]", R"({"$oid":"x"})",
          R"({"$numberInt":"2"})", R"({"$numberDouble":"NaN"})", "1e131071", "\"\xC2\xA0t\""})
        EXPECT_EQ(To(Kind::Bool, json), "22P02") << json;
}

TEST(ConvertTest, Integers) {
    EXPECT_EQ(To(Kind::Int2, "32767"), "32767");
    EXPECT_EQ(To(Kind::Int2, "32768"), "22003");
    EXPECT_EQ(To(Kind::Int2, "-32768"), "-32768");
    EXPECT_EQ(To(Kind::Int4, "2147483647"), "2147483647");
    EXPECT_EQ(To(Kind::Int4, "-2147483649"), "22003");
    EXPECT_EQ(To(Kind::Int8, "9223372036854775807"), "9223372036854775807");
    EXPECT_EQ(To(Kind::Int8, "9223372036854775808"), "22003");
    EXPECT_EQ(To(Kind::Int8, R"({"$numberLong":"-9223372036854775808"})"), "-9223372036854775808");
    EXPECT_EQ(To(Kind::Int4, "\" +5 \""), "5");
    EXPECT_EQ(To(Kind::Int4, "1.50e1"), "15");
    EXPECT_EQ(To(Kind::Int4, "0e400"), "0");
    EXPECT_EQ(To(Kind::Int4, "1.5"), "22P02");
    EXPECT_EQ(To(Kind::Int4, "1.5", Conversion::Round), "2");
    EXPECT_EQ(To(Kind::Int4, "-1.5", Conversion::Round), "-2");
    EXPECT_EQ(To(Kind::Int4, "-1.2", Conversion::Floor), "-2");
    EXPECT_EQ(To(Kind::Int4, R"({"$numberDouble":"2.9"})", Conversion::Floor), "2");
    for (const char* json :
         {"true", "\"\"", "\"x\"", "\"0x10\"", "{}", "[1]", R"({"$numberDouble":"NaN"})", R"({"$date":1})"})
        EXPECT_EQ(To(Kind::Int4, json), "22P02") << json;
}

TEST(ConvertTest, Floats) {
    EXPECT_EQ(To(Kind::Float8, "1.1"), "1.1000000000000001");
    EXPECT_EQ(To(Kind::Float8, "9007199254740993"), "9007199254740992");
    EXPECT_EQ(To(Kind::Float8, "\" +.5e1 \""), "5");
    EXPECT_EQ(To(Kind::Float8, "\"5.\""), "5");
    EXPECT_EQ(To(Kind::Float8, "0e400"), "0");
    EXPECT_EQ(To(Kind::Float8, R"({"$numberDouble":"-0.0"})"), "-0");
    EXPECT_EQ(To(Kind::Float8, R"({"$numberDouble":"NaN"})"), "nan");
    EXPECT_EQ(To(Kind::Float8, R"({"$numberDouble":"-Infinity"})"), "-inf");
    EXPECT_EQ(To(Kind::Float8, "\"inf\""), "inf");
    EXPECT_EQ(To(Kind::Float8, "4.9e-324"), "4.9406564584124654e-324");
    EXPECT_EQ(To(Kind::Float8, "1e400"), "22003");
    EXPECT_EQ(To(Kind::Float8, "-1e400"), "22003");
    EXPECT_EQ(To(Kind::Float8, "1e-400"), "22003");
    EXPECT_EQ(To(Kind::Float4, "1.1"), "1.1000000238418579");
    EXPECT_EQ(To(Kind::Float4, "16777217"), "16777216");
    EXPECT_EQ(To(Kind::Float4, "3.4e38"), "3.3999999521443642e+38");
    EXPECT_EQ(To(Kind::Float4, "1e39"), "22003");
    EXPECT_EQ(To(Kind::Float4, "1e-46"), "22003");
    EXPECT_EQ(To(Kind::Float8, Repeat("1234567890", 30)), "1.2345678901234568e+299");
    for (const char* json :
         {"true", "\"\"", "\"x\"", "\"0x10\"", "\"1_0\"", "{}", "[]", "\"nan(1)\"", "\"+-1\""})
        EXPECT_EQ(To(Kind::Float8, json), "22P02") << json;
}

TEST(ConvertTest, Numeric) {
    EXPECT_EQ(To(Kind::Numeric, "1.10"), "1.10");
    EXPECT_EQ(To(Kind::Numeric, "-0.0"), "0.0");
    EXPECT_EQ(To(Kind::Numeric, "\" +1E2 \""), "100");
    EXPECT_EQ(To(Kind::Numeric, "1.1000000000000000888"), "1.1000000000000000888");
    EXPECT_EQ(To(Kind::Numeric, R"({"$numberDecimal":"-1.234567890123456789012345678901234E-6143"})"),
              "-0." + Repeat("0", 6142) + "1234567890123456789012345678901234");
    EXPECT_EQ(To(Kind::Numeric, R"({"$numberDecimal":"9.999E+6144"})"), "9999" + Repeat("0", 6141));
    EXPECT_EQ(To(Kind::Numeric, R"({"$numberDecimal":"1E-6176"})"), "0." + Repeat("0", 6175) + "1");
    EXPECT_EQ(To(Kind::Numeric, "1e131071"), "1" + Repeat("0", 131071));
    EXPECT_EQ(To(Kind::Numeric, "\"1e131072\""), "22003");
    EXPECT_EQ(To(Kind::Numeric, "\"NaN\""), "NaN");
    EXPECT_EQ(To(Kind::Numeric, R"({"$numberDouble":"-Infinity"})"), "-Infinity");
    for (const char* json : {"true", "\"\"", "\"x\"", "{}", "[]", "\"1 2\""})
        EXPECT_EQ(To(Kind::Numeric, json), "22P02") << json;
}

TEST(ConvertTest, Times) {
    const std::string t = std::to_string(INT64_C(628963664123000));
    EXPECT_EQ(To(Kind::TimestampTz, R"({"$date":1575648464123})"), t);
    EXPECT_EQ(To(Kind::Timestamp, "\"2019-12-06T18:07:44.123+02:00\""), t);
    EXPECT_EQ(To(Kind::Date, R"({"$date":1575648464123})"), "7279");
    EXPECT_EQ(To(Kind::Date, "\"1999-12-31T23:00:00-05:00\""), "0");
    EXPECT_EQ(To(Kind::Date, R"({"$date":-1})"), "-10958");
    EXPECT_EQ(To(Kind::Date, R"({"$maxKey":1})"), "2147483647");
    EXPECT_EQ(To(Kind::Date, R"({"$minKey":1})"), "-2147483648");
    EXPECT_EQ(To(Kind::TimestampTz, R"({"$minKey":1})"), std::to_string(INT64_MIN));
    EXPECT_EQ(To(Kind::TimestampTz, "1575648464", Conversion::EpochSeconds), "628963664000000");
    EXPECT_EQ(To(Kind::TimestampTz, "20191206"), "-946664608794000") << "milliseconds, no calendar date";
    EXPECT_EQ(To(Kind::TimestampTz, "\"now\""), "22007");
    EXPECT_EQ(To(Kind::Timestamp, R"({"$date":9224318016000000})"), "22008");
}

TEST(ConvertTest, ObjectIdTime) {
    const auto as = Conversion::ObjectIdTime;
    EXPECT_EQ(To(Kind::TimestampTz, R"({"$oid":"5dea38507b0b3a0012345678"})", as), "628946128000000");
    EXPECT_EQ(To(Kind::Date, R"({"$oid":"5dea38507b0b3a0012345678"})", as), "7279");
    EXPECT_EQ(To(Kind::TimestampTz, R"({"$oid":"ffffffff7b0b3a0012345678"})", as), "3348282495000000");
    for (const char* json :
         {R"({"$oid":null})", "\"5dea38507b0b3a0012345678\"", "12345", "null", R"([{"$oid":"x"}])",
          R"({"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"})", "{}"})
        EXPECT_EQ(To(Kind::TimestampTz, json, as), "null") << json;
    for (const char* json :
         {R"({"$oid":"5de"})", R"({"$oid":""})", R"({"$oid":1575648336})", R"({"$oid":{"a":1}})",
          R"({"$oid":"5dea'--x"})", R"({"$oid":"zzzz38507b0b3a0012345678"})"})
        EXPECT_EQ(To(Kind::TimestampTz, json, as), "22P02") << json;
}

TEST(ConvertTest, TimeOfDay) {
    EXPECT_EQ(To(Kind::Time, "\"16:07:44.5\""), "58064500000");
    EXPECT_EQ(To(Kind::Time, R"({"$date":1575648464123})"), "58064123000");
    EXPECT_EQ(To(Kind::Time, R"({"$date":-1})"), "86399999000");
    EXPECT_EQ(To(Kind::Time, "\"2019-12-06T16:07:44Z\""), "58064000000");
    EXPECT_EQ(To(Kind::Time, R"({"$date":null})"), "null");
    EXPECT_EQ(To(Kind::Time, "\"25:00\""), "22008");
    for (const char* json : {"5", "true", "\"x\"", "{}", R"({"$maxKey":1})"})
        EXPECT_EQ(To(Kind::Time, json), "22007") << json;
}

TEST(ConvertTest, Uuid) {
    const std::string bytes = "bytes 000102030405060708090a0b0c0d0e0f";
    EXPECT_EQ(To(Kind::Uuid, "\"00010203-0405-0607-0809-0A0B0C0D0E0F\""), bytes);
    EXPECT_EQ(To(Kind::Uuid, R"({"$uuid":"00010203-0405-0607-0809-0a0b0c0d0e0f"})"), bytes);
    EXPECT_EQ(To(Kind::Uuid, R"({"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"03"}})"), bytes);
    EXPECT_EQ(To(Kind::Uuid, "\"000102030405060708090a0b0c0d0e0f\""),
              "input '000102030405060708090a0b0c0d0e0f'");
    for (const char* json : {"5", "true", "{}", R"({"$binary":{"base64":"AQ==","subType":"04"}})",
                             R"({"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"00"}})"})
        EXPECT_EQ(To(Kind::Uuid, json), "22P02") << json;
}

TEST(ConvertTest, Bytea) {
    EXPECT_EQ(To(Kind::Bytea, R"({"$binary":{"base64":"AQI=","subType":"00"}})"), "\\x0102");
    EXPECT_EQ(To(Kind::Bytea, R"({"$binary":"","$type":"00"})"), "\\x");
    EXPECT_EQ(To(Kind::Bytea, R"("\\x0102")"), "input '\\x0102'");
    for (const char* json : {"5", "{}", R"({"$binary":{"base64":"AQI","subType":"00"}})"})
        EXPECT_EQ(To(Kind::Bytea, json), "22P02") << json;
}

TEST(ConvertTest, JsonAndOther) {
    EXPECT_EQ(To(Kind::Json, R"({"b":1e2,"a":{"$oid":"x"}})"), R"('{"a": {"$oid": "x"}, "b": 100}')");
    EXPECT_EQ(To(Kind::Json, "\"x\""), R"('"x"')");
    EXPECT_EQ(To(Kind::Other, "\"happy\""), "input 'happy'");
    EXPECT_EQ(To(Kind::Other, "1E2"), "input '100'");
    EXPECT_EQ(To(Kind::Other, R"({"b":1,"a":2})"), R"(input '{"a": 2, "b": 1}')");
    EXPECT_EQ(To(Kind::Other, R"({"$date":1575648464123})"), "input '2019-12-06T16:07:44.123Z'");
    EXPECT_EQ(To(Kind::Other, "\"x\"", Conversion::JsonText), R"(input '"x"')");
}

TEST(ConvertTest, Jsonb) {
    EXPECT_EQ(To(Kind::Jsonb, "0"), "0");
    EXPECT_EQ(To(Kind::Jsonb, R"({"a":{"$numberLong":"5"}})"), R"({"a": {"$numberLong": "5"}})");
    Target target;
    target.kind = Kind::Jsonb;
    target.normalize = true;
    EXPECT_EQ(To(target, R"({"a":{"$numberLong":"5"}})"), R"({"a": 5})");
    EXPECT_EQ(To(target, R"({"$date":null})"), "null") << "no JSON null in a column";
    target.floors = {{"count", "0"}};
    EXPECT_EQ(To(target, R"({"count":{"$numberDouble":"-1.5"},"d":{"$date":0}})"),
              R"({"d": "1970-01-01T00:00:00.000Z", "count": -2})");
    EXPECT_EQ(To(target, R"({"$numberInt":"5"})"), R"(+[5, {"count": 0}])");
    EXPECT_EQ(To(target, "[1]"), R"(+[1, {"count": 0}])");
    EXPECT_EQ(To(target, R"({"count":"abc"})"), "22P02 in count");
}

TEST(ConvertTest, Arrays) {
    EXPECT_EQ(ToArray(Kind::Int4, "[]"), "{}");
    EXPECT_EQ(ToArray(Kind::Int4, R"([1,"2.5",null,-0.5,1e2," 3 ",{"$numberInt":"4"},2147483647.4])"),
              "{1,3,null,-1,100,3,4,2147483647}");
    EXPECT_EQ(ToArray(Kind::Int4, "[1.9,-1.1]", Conversion::Floor), "{1,-2}");
    EXPECT_EQ(ToArray(Kind::Int4, "[1,2147483647.5]"), "22003 at 1");
    EXPECT_EQ(ToArray(Kind::Int4, "[true]"), "22P02 at 0");
    EXPECT_EQ(ToArray(Kind::Int4, "[1,[1,2]]"), "22P02 at 1");
    EXPECT_EQ(ToArray(Kind::Text, R"(["a",1.50,{"b":1},["c"],null,""])"),
              R"({'a','1.50','{"b": 1}','["c"]',null,''})");
    EXPECT_EQ(ToArray(Kind::Numeric, "[1.10,null]"), "{1.10,null}");
    EXPECT_EQ(ToArray(Kind::Jsonb, R"([{"a":1},[],null,"x"])"), R"({{"a": 1},[],null,"x"})");
    EXPECT_EQ(ToArray(Kind::Uuid, R"(["00010203-0405-0607-0809-0a0b0c0d0e0f"])"),
              "{bytes 000102030405060708090a0b0c0d0e0f}");
    EXPECT_EQ(ToArray(Kind::Date, R"([{"$date":0},null])"), "{-10957,null}");
    for (const char* json : {"{}", "\"1,2\"", "\"\"", "5", "false", R"({"$oid":"5dea38507b0b3a0012345678"})"})
        EXPECT_EQ(ToArray(Kind::Int4, json), "22023") << json;
    const std::string many = ToArray(Kind::Text, "[" + Repeat("\"x\",", 99999) + "\"y\"]");
    EXPECT_EQ(many.substr(many.size() - 8), "'x','y'}");
}

// 80 kB of document print as 1.2 GB: past a varlena's 30 bits of size, where the header would wrap, and there
// is no end to the memory a longer one takes.
TEST(ConvertTest, TextPastOneGigabyteIsRefused) {
    const std::string json = "[" + Repeat("1e131071,", 9000) + "1]";
    EXPECT_EQ(To(Kind::Text, json).substr(0, 5), "54000");
}

TEST(OutputTest, ClearAndTrimLeaveItUsable) {
    const Doc doc("[" + Repeat("\"" + Repeat("x", 200) + "\",", 100) + "1]");
    Output out;
    Target target;
    target.array = true;
    Value value;
    for (int round = 0; round < 3; ++round) {
        ASSERT_EQ(Convert(doc.tape, 0, target, &out, &value).reason, Reason::None);
        EXPECT_EQ(value.first, 0u);
        EXPECT_EQ(value.count, 101u);
        out.Clear();
        if (round == 1) out.Trim(100);
    }
}

}  // namespace
}  // namespace vm
