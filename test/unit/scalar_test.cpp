#include "core/scalar.h"

#include "core/datetime.h"
#include "helpers.h"

namespace vm {
namespace {

using vm_test::Doc;
using vm_test::Hex;
using vm_test::Str;

constexpr int64_t kMicros = (1575648464 - kEpochOffsetSeconds) * kMicrosPerSecond;  // 2019-12-06 16:07:44

// What a text column gets: text, "json" for print as JSON, "refused".
std::string Text(std::string_view json) {
    const Doc doc(json);
    Bytes out;
    bool composite = false;
    if (!AppendScalarText(doc.tape, Unwrap(doc.tape, 0), &out, &composite)) return "refused";
    return composite ? "json" : "'" + Str(out) + "'";
}

ScalarKind KindOf(std::string_view json) {
    const Doc doc(json);
    return Unwrap(doc.tape, 0).kind;
}

// Microseconds after 2019-12-06 16:07:44, null, or an SQLSTATE.
std::string Time(std::string_view json, int64_t unit = 1) {
    const Doc doc(json);
    int64_t micros = 0;
    bool null = true;
    const Reason reason = TimeOf(doc.tape, 0, unit, &micros, &null);
    if (reason != Reason::None) return Info(reason).sqlstate;
    if (null) return "null";
    if (micros == kTimeInfinity) return "infinity";
    if (micros == kTimeMinusInfinity) return "-infinity";
    return std::to_string(micros - kMicros);
}

TEST(ScalarTest, TextOfEveryKind) {
    EXPECT_EQ(Text("null"), "''");
    EXPECT_EQ(Text("true"), "'true'");
    EXPECT_EQ(Text("1.50e1"), "'15.0'");
    EXPECT_EQ(Text("\"a\\nb\""), "'a\nb'");
    EXPECT_EQ(Text("[1]"), "json");
    EXPECT_EQ(Text(R"({"a":1})"), "json");
    EXPECT_EQ(Text(R"({"$oid":"5DEA38507b0b3a0012345678"})"), "'5DEA38507b0b3a0012345678'");
    EXPECT_EQ(Text(R"({"$oid":"5dea"})"), "refused");
    EXPECT_EQ(Text(R"({"$oid":5})"), "refused");
    EXPECT_EQ(Text(R"({"$date":1575648464123})"), "'2019-12-06T16:07:44.123Z'");
    EXPECT_EQ(Text(R"({"$date":{"$numberLong":"253402300800000"}})"), "json") << "the year 10000";
    EXPECT_EQ(Text(R"({"$date":"now"})"), "refused");
    EXPECT_EQ(Text(R"({"$numberInt":" +7 "})"), "'7'");
    EXPECT_EQ(Text(R"({"$numberLong":"9007199254740993"})"), "'9007199254740993'");
    EXPECT_EQ(Text(R"({"$numberDouble":"-0.0"})"), "'0.0'");
    EXPECT_EQ(Text(R"({"$numberDouble":"-Infinity"})"), "'-Infinity'");
    EXPECT_EQ(Text(R"({"$numberDecimal":"NaN"})"), "'NaN'");
    EXPECT_EQ(Text(R"({"$numberDecimal":"1E+3"})"), "'1000'");
    EXPECT_EQ(Text(R"({"$numberDecimal":"1E-20000"})"), "refused");
    EXPECT_EQ(Text(R"({"$numberInt":"x"})"), "refused");
    EXPECT_EQ(Text(R"({"$binary":{"base64":"AQI=","subType":"00"}})"), "'AQI='");
    EXPECT_EQ(Text(R"({"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"})"),
              "'c8edabc3-f738-4ca3-b68d-ab92a91478a3'");
    EXPECT_EQ(Text(R"({"$regularExpression":{"pattern":"^a","options":"im"}})"), "'/^a/im'");
    EXPECT_EQ(Text(R"({"$regex":"^a","$options":""})"), "'/^a/'");
    EXPECT_EQ(Text(R"({"$timestamp":{"t":1,"i":1}})"), "json");
    EXPECT_EQ(Text(R"({"$undefined":true})"), "''");
    EXPECT_EQ(Text(R"({"$minKey":1})"), "refused");
    EXPECT_EQ(Text(R"({"$maxKey":1})"), "refused");
    EXPECT_EQ(Text(R"({"$symbol":"s"})"), "'s'");
    EXPECT_EQ(Text(R"({"$code":"f(x);"})"), "'f(x);'");
    EXPECT_EQ(Text(R"({"$code":"f(x);","$scope":{}})"), "json");
    EXPECT_EQ(Text(R"({"$dbPointer":{"$ref":"c","$id":1}})"), "json");
    EXPECT_EQ(Text(R"({"$ref":"c","$id":1})"), "json");
}

TEST(ScalarTest, WrappersWithNothingSensibleInside) {
    for (const char* json : {R"({"$numberInt":true})", R"({"$numberLong":{}})", R"({"$numberDouble":[]})",
                             R"({"$uuid":5})", R"({"$binary":5,"$type":"00"})",
                             R"({"$binary":"AQ==","$type":"xyz"})", R"({"$binary":"AQ==","$type":"0x"})",
                             R"({"$binary":"AQ==","$type":256})", R"({"$binary":"AQ==","$type":-1})",
                             R"({"$binary":"AQ==","$type":""})", R"({"$regex":1,"$options":""})",
                             R"({"$regex":"a","$options":null})", R"({"$symbol":1})", R"({"$code":[]})"})
        EXPECT_EQ(KindOf(json), ScalarKind::Composite) << json;
    EXPECT_EQ(KindOf(R"({"$oid":null})"), ScalarKind::Null);
    EXPECT_EQ(KindOf(R"({"$date":null})"), ScalarKind::Null);
    EXPECT_EQ(KindOf(R"({"$numberLong":null})"), ScalarKind::Null);
}

TEST(ScalarTest, SubtypesAndUuids) {
    const auto uuid = [](std::string_view json) {
        const Doc doc(json);
        Bytes out;
        size_t at = 99;
        out.Append("xx");
        if (!BinaryUuid(Unwrap(doc.tape, 0), &out, &at)) return std::to_string(out.size());
        EXPECT_EQ(at, 2u);
        return Hex(Str(out).substr(2));
    };
    const std::string bytes = "000102030405060708090a0b0c0d0e0f";
    EXPECT_EQ(uuid(R"({"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"04"}})"), bytes);
    EXPECT_EQ(uuid(R"({"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"3"}})"), bytes);
    EXPECT_EQ(uuid(R"({"$binary":"AAECAwQFBgcICQoLDA0ODw==","$type":4})"), bytes);
    EXPECT_EQ(uuid(R"({"$binary":"AAECAwQFBgcICQoLDA0ODw==","$type":"00"})"), "2") << "another subtype";
    EXPECT_EQ(uuid(R"({"$binary":"AAECAwQFBgcICQoLDA0OD","$type":"04"})"), "2") << "no base64";
    EXPECT_EQ(uuid(R"({"$binary":"AQ==","$type":"04"})"), "2") << "not 16 bytes";
    EXPECT_EQ(uuid("1"), "2");
}

TEST(TimeOfTest, DateInEveryForm) {
    for (const char* json :
         {R"({"$date":1575648464123})", R"({"$date":1.575648464123E12})", R"({"$date":1575648464123.000})",
          R"({"$date":"1575648464123"})", R"({"$date":" 1575648464123 "})",
          R"({"$date":{"$numberLong":"1575648464123"}})", R"({"$date":{"$numberLong":1575648464123}})",
          R"({"$date":"2019-12-06T16:07:44.123Z"})", R"({"$date":"2019-12-06T09:07:44.123-0700"})",
          R"({"$date":1575648464123,"x":1})", R"({"$date":0,"$date":1575648464123})", "1575648464123",
          "\"1575648464123\"", "\"2019-12-06T16:07:44.123\"", R"({"$numberLong":"1575648464123"})",
          R"({"$numberDouble":"1575648464123.0"})"})
        EXPECT_EQ(Time(json), "123000") << json;
    EXPECT_EQ(Time(R"({"$timestamp":{"t":1575648464,"i":7}})"), "0");
    EXPECT_EQ(Time(R"({"$timestamp":{"t":{"$numberLong":"1575648464"},"i":7}})"), "0");
    EXPECT_EQ(Time(R"({"$oid":"5dea7f507b0b3a0012345678"})"), "640000000");
    EXPECT_EQ(Time("1575648464", 1000), "0") << "seconds, if the rule says so";
    EXPECT_EQ(Time("\"1575648464\"", 1000), "0");
    EXPECT_EQ(Time(R"({"$date":1575648464123})", 1000), "123000") << "$date stays milliseconds";
}

TEST(TimeOfTest, NullsAndInfinities) {
    for (const char* json : {"null", R"({"$date":null})", R"({"$undefined":true})", R"({"$oid":null})",
                             R"({"$date":null,"x":1})"})
        EXPECT_EQ(Time(json), "null") << json;
    EXPECT_EQ(Time(R"({"$minKey":1})"), "-infinity");
    EXPECT_EQ(Time(R"({"$maxKey":1})"), "infinity");
}

TEST(TimeOfTest, Refusals) {
    for (const char* json : {"true",
                             "{}",
                             "[]",
                             "[1575648464123]",
                             "1.5",
                             "\"\"",
                             "\"now\"",
                             "\"infinity\"",
                             "\"-\"",
                             "\"1.5\"",
                             "\"0x10\"",
                             R"({"$date":""})",
                             R"({"$date":true})",
                             R"({"$date":1575648464123.5})",
                             R"({"$date":"infinity"})",
                             R"({"$date":{"$date":1}})",
                             R"({"$date":{"$oid":"5dea38507b0b3a0012345678"}})",
                             R"({"$date":[]})",
                             R"({"$date":{"$minKey":1}})",
                             R"({"$numberDouble":"NaN"})",
                             R"({"$numberLong":"x"})",
                             R"({"a":1})",
                             R"({"$timestamp":{"t":"x","i":1}})",
                             R"({"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"})",
                             R"({"$regex":"a","$options":""})",
                             R"({"$binary":"AQ==","$type":"00"})"})
        EXPECT_EQ(Time(json), "22007") << json;
    for (const char* json : {R"({"$date":9224318016000000})", R"({"$date":-210866803200001})",
                             R"({"$date":9223372036854775808})", R"({"$date":1e400})",
                             R"({"$date":"2019-02-30"})", R"({"$timestamp":{"t":9223372036854775807,"i":1}})",
                             "9223372036854775807", "\"99999999999999999999\""})
        EXPECT_EQ(Time(json), "22008") << json;
    for (const char* json :
         {R"({"$oid":"5dea"})", R"({"$oid":5})", R"({"$oid":"zzzz38507b0b3a0012345678"})"}) {
        EXPECT_EQ(Time(json), "22P02") << json;
    }
}

}  // namespace
}  // namespace vm
