#include "core/plan.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Show;

ColumnSpec Spec(const char* name, Kind kind, bool array = false) {
    ColumnSpec spec;
    spec.name = name;
    spec.type_name = "the_type";
    spec.kind = kind;
    spec.array = array;
    return spec;
}

const std::vector<ColumnSpec>& Specs() {
    static const std::vector<ColumnSpec> specs = {
        Spec("id", Kind::Text),          Spec("deleted_at", Kind::TimestampTz),
        Spec("publish", Kind::Jsonb),    Spec("days", Kind::Int4, true),
        Spec("amount", Kind::Int8),      Spec("rest", Kind::Jsonb),
        Spec("tags", Kind::Jsonb, true), Spec("code", Kind::Other),
        Spec("key", Kind::Uuid),         Spec("names", Kind::Text, true)};
    return specs;
}

// "key: what is wrong", or "fine".
std::string Verdict(std::string_view rules, const std::vector<std::string>* args = nullptr) {
    Plan plan;
    Problem problem;
    if (Compile(rules, Specs(), args, &plan, &problem)) return "fine";
    EXPECT_EQ(problem.reason, Reason::BadRule);
    return std::string(problem.path) + ": " + problem.text;
}

struct Compiled {
    Plan plan;
    explicit Compiled(std::string_view rules, const std::vector<std::string>* args = nullptr) {
        Problem problem;
        EXPECT_TRUE(Compile(rules, Specs(), args, &plan, &problem)) << problem.path << ": " << problem.text;
    }
    const Column& At(std::string_view name) const {
        for (const Column& c : plan.columns)
            if (c.spec.name == name) return c;
        ADD_FAILURE() << name;
        return plan.columns[0];
    }
    std::string Fallback(std::string_view name) const {
        Output none;
        const Column& c = At(name);
        return Show(c.fallback, c.target.kind, &none, c.fallback_elements.data());
    }
    std::string Sources(std::string_view name) const {
        std::string s;
        for (const Source& source : At(name).sources) {
            s += (s.empty() ? "" : " ") + plan.fields[source.slot];
            for (const std::string& step : source.steps) s += "/" + step;
        }
        return s;
    }
};

TEST(CamelCaseTest, Names) {
    EXPECT_EQ(CamelCase("deleted_at"), "deletedAt");
    EXPECT_EQ(CamelCase("validity_day_of_week"), "validityDayOfWeek");
    EXPECT_EQ(CamelCase("line_2"), "line2");
    EXPECT_EQ(CamelCase("_id"), "_id");
    EXPECT_EQ(CamelCase("__v"), "__v");
    EXPECT_EQ(CamelCase("a__b"), "a__b");
    EXPECT_EQ(CamelCase("a_"), "a_");
    EXPECT_EQ(CamelCase("_"), "_");
    EXPECT_EQ(CamelCase(""), "");
    EXPECT_EQ(CamelCase("plain"), "plain");
    EXPECT_EQ(CamelCase("Ab_Cd"), "AbCd");
    EXPECT_EQ(CamelCase("a_\xC3\xA9"), "a\xC3\xA9");
}

TEST(PlanTest, WithoutRulesAColumnTakesItsNamesake) {
    const Compiled c("{}");
    EXPECT_EQ(c.plan.columns.size(), Specs().size());
    EXPECT_EQ(c.Sources("id"), "id");
    EXPECT_EQ(c.Sources("deleted_at"), "deleted_at deletedAt");
    EXPECT_EQ(c.plan.unmapped, -1);
    EXPECT_EQ(c.plan.on_error, OnError::Raise);
}

TEST(PlanTest, PathsWithEscapedDotsAndPositions) {
    const Compiled c(
        R"({"columns":{"id":{"from":["a.b.0","a\\.b.c","\\\\x","a..b","x\\"]}, "code":{"from":"a.z"}}})");
    EXPECT_EQ(c.Sources("id"), "a/b/0 a.b/c \\x a//b x\\");
    EXPECT_EQ(c.Sources("code"), "a/z");
    EXPECT_EQ(std::count(c.plan.fields.begin(), c.plan.fields.end(), "a"), 1) << "a field is looked up once";
}

// Keys stand in a document, with bytes to read behind them.
int SlotOf(const Plan& plan, std::string_view name) {
    const std::string document = std::string(name) + std::string(kTextPadding, '"');
    return plan.Slot(document.data(), static_cast<uint32_t>(name.size()));
}

TEST(PlanTest, SlotsAreFoundByNameAlone) {
    const Compiled c("{}");
    for (size_t i = 0; i < c.plan.fields.size(); ++i) {
        EXPECT_EQ(SlotOf(c.plan, c.plan.fields[i]), static_cast<int>(i));
    }
    for (std::string_view name : {"", "i", "idx", "ID", "deleted", "deleted_At", "code\xC3"})
        EXPECT_EQ(SlotOf(c.plan, name), -1) << name;
}

TEST(PlanTest, AThousandColumns) {
    std::vector<ColumnSpec> specs;
    for (int i = 0; i < 1600; ++i) {
        specs.push_back(Spec("", Kind::Text));
        specs.back().name = "column_" + std::to_string(i);
    }
    Plan plan;
    Problem problem;
    ASSERT_TRUE(Compile("{}", specs, nullptr, &plan, &problem));
    ASSERT_EQ(plan.fields.size(), 3200u);
    for (size_t i = 0; i < 3200; ++i)
        EXPECT_EQ(plan.Slot(plan.fields[i].data(), static_cast<uint32_t>(plan.fields[i].size())),
                  static_cast<int>(i));
}

TEST(PlanTest, IgnoredAndReservedColumnsAreLeftOut) {
    std::vector<ColumnSpec> specs = {Spec("a", Kind::Text), Spec("b", Kind::Text), Spec("c", Kind::Text),
                                     Spec("d", Kind::Jsonb)};
    specs[2].by_default = specs[3].by_default = false;
    Plan plan;
    Problem problem;
    ASSERT_TRUE(Compile(R"({"columns":{"a":{"ignore":true}}})", specs, nullptr, &plan, &problem));
    EXPECT_EQ(plan.column_of, (std::vector<int>{-1, 0, -1, -1}));
    ASSERT_TRUE(Compile(R"({"columns":{"c":{}},"unmapped":"d"})", specs, nullptr, &plan, &problem));
    EXPECT_EQ(plan.column_of, (std::vector<int>{0, 1, 2, 3}));
    EXPECT_EQ(plan.unmapped, 3);
}

TEST(PlanTest, DefaultsAreConvertedOnce) {
    const Compiled c(
        R"({"columns":{"id":{"default":"MISSING"},"deleted_at":{"default":{"$date":946684800001}},
        "publish":{"default":{},"floor":{"count":0}},"days":{"default":[1,null,"2"]},"amount":{"default":-5},
        "tags":{"default":[{"a":1}]},"code":{"default":"x"},"key":{"default":"00010203-0405-0607-0809-0a0b0c0d0e0f"},
        "names":{"default":["a","b"]},"rest":{"default":null}}})");
    EXPECT_EQ(c.Fallback("id"), "'MISSING'");
    EXPECT_EQ(c.Fallback("deleted_at"), "1000");
    EXPECT_EQ(c.Fallback("publish"), R"({"count": 0})");
    EXPECT_EQ(c.Fallback("days"), "{1,null,2}");
    EXPECT_EQ(c.Fallback("amount"), "-5");
    EXPECT_EQ(c.Fallback("tags"), R"({{"a": 1}})");
    EXPECT_EQ(c.Fallback("code"), "input 'x'");
    EXPECT_EQ(c.Fallback("key"), "bytes 000102030405060708090a0b0c0d0e0f");
    EXPECT_EQ(c.Fallback("names"), "{'a','b'}");
    EXPECT_EQ(c.Fallback("rest"), "null");
    EXPECT_TRUE(c.At("rest").has_default);
}

TEST(PlanTest, LongDefaultsAreKept) {
    const std::string text = vm_test::Repeat("x", 70000);
    const Compiled c("{\"columns\":{\"id\":{\"default\":\"" + text + "\"},\"names\":{\"default\":[\"" + text +
                     "\",\"y\"]}}}");
    EXPECT_EQ(c.Fallback("id"), "'" + text + "'");
    EXPECT_EQ(c.Fallback("names"), "{'" + text + "','y'}");
}

TEST(PlanTest, DefaultsByArgument) {
    const char* rules = R"({"columns":{"id":{"default":{"arg":1}},"amount":{"default":{"arg":2}}}})";
    const std::vector<std::string> args = {"TEN\"ANT\n", "42"};
    const Compiled c(rules, &args);
    EXPECT_EQ(c.Fallback("id"), "'TEN\"ANT\n'");
    EXPECT_EQ(c.Fallback("amount"), "42");
    EXPECT_EQ(c.At("amount").default_arg, 2);
    EXPECT_EQ(Verdict(rules), "fine") << "no trigger yet";
    const std::vector<std::string> one = {"T"}, wrong = {"T", "x"};
    EXPECT_EQ(Verdict(rules, &one),
              "columns.amount.default.arg: the trigger has no argument 2 after the mapping's name");
    EXPECT_EQ(
        Verdict(rules, &wrong),
        "columns.amount.default: the default \"x\" does not go with column \"amount\" of type the_type");
}

TEST(PlanTest, DefaultsThatCannotBeConverted) {
    for (const char* rules :
         {R"({"columns":{"amount":{"default":"x"}}})", R"({"columns":{"amount":{"default":1.5}}})",
          R"({"columns":{"days":{"default":1}}})", R"({"columns":{"days":{"default":[true]}}})",
          R"({"columns":{"deleted_at":{"default":"now"}}})", R"({"columns":{"key":{"default":5}}})",
          R"({"columns":{"publish":{"default":{"count":"x"},"floor":{"count":0}}}})"})
        EXPECT_NE(Verdict(rules).find(".default: the default "), std::string::npos) << rules;
}

TEST(PlanTest, WhatCannotWorkIsRefused) {
    EXPECT_EQ(Verdict(R"({"columns":{"idd":{}}})"),
              "columns.idd: the table has no column \"idd\" that a document could fill");
    EXPECT_EQ(
        Verdict(R"({"columns":{"amount":{"as":"objectid_time"}}})"),
        "columns.amount.as: \"as\": \"objectid_time\" does not go with column \"amount\" of type the_type");
    EXPECT_EQ(Verdict(R"({"columns":{"id":{"as":"epoch_seconds"}}})").substr(0, 14), "columns.id.as:");
    EXPECT_EQ(Verdict(R"({"columns":{"id":{"as":"floor"}}})").substr(0, 14), "columns.id.as:");
    EXPECT_EQ(Verdict(R"({"columns":{"publish":{"as":"round"}}})").substr(0, 19), "columns.publish.as:");
    EXPECT_EQ(Verdict(R"({"columns":{"publish":{"as":"json_text"}}})").substr(0, 19), "columns.publish.as:");
    EXPECT_EQ(Verdict(R"({"columns":{"days":{"as":"floor"}}})"), "fine");
    EXPECT_EQ(Verdict(R"({"columns":{"code":{"as":"json_text"}}})"), "fine");
    EXPECT_EQ(Verdict(R"({"columns":{"id":{"normalize":true}}})").substr(0, 21), "columns.id.normalize:");
    EXPECT_EQ(Verdict(R"({"columns":{"tags":{"normalize":true}}})"), "fine");
    EXPECT_EQ(Verdict(R"({"columns":{"tags":{"floor":{"n":0}}}})").substr(0, 19), "columns.tags.floor:");
    EXPECT_EQ(Verdict(R"({"columns":{"amount":{"floor":{"n":0}}}})").substr(0, 21), "columns.amount.floor:");
    EXPECT_EQ(Verdict(R"({"unmapped":"nowhere"})").substr(0, 9), "unmapped:");
    EXPECT_EQ(Verdict(R"({"unmapped":"id"})").substr(0, 9), "unmapped:");
    EXPECT_EQ(Verdict(R"({"unmapped":"tags"})").substr(0, 9), "unmapped:");
    EXPECT_EQ(Verdict(R"({"columns":{"rest":{"ignore":true}},"unmapped":"rest"})").substr(0, 9), "unmapped:");
    EXPECT_EQ(Verdict(R"({"watermark":"id"})").substr(0, 10), "watermark:");
    EXPECT_EQ(Verdict(R"({"watermark":["deleted_at","updated"]})").substr(0, 10), "watermark:");
    EXPECT_EQ(Verdict(R"({"columns":{"deleted_at":{"ignore":true}},"watermark":"deleted_at"})").substr(0, 10),
              "watermark:");
    EXPECT_EQ(Verdict("{"), ": the rules are not JSON");
}

TEST(PlanTest, APlanCanBeCompiledAnew) {
    Plan plan;
    Problem problem;
    ASSERT_TRUE(Compile(R"({"watermark":"deleted_at","unmapped":"rest","on_error":"quarantine"})", Specs(),
                        nullptr, &plan, &problem));
    EXPECT_EQ(plan.watermark.size(), 1u);
    EXPECT_EQ(plan.on_error, OnError::Quarantine);
    ASSERT_TRUE(Compile("{}", Specs(), nullptr, &plan, &problem));
    EXPECT_TRUE(plan.watermark.empty());
    EXPECT_EQ(plan.unmapped, -1);
    EXPECT_EQ(plan.on_error, OnError::Raise);
}

TEST(ParsedTextTest, DeepDefaultsAreRead) {
    ParsedText parsed;
    EXPECT_TRUE(parsed.Read(vm_test::Repeat("[", 100000) + vm_test::Repeat("]", 100000)));
    EXPECT_FALSE(parsed.Read("[1"));
    EXPECT_FALSE(parsed.Read(""));
}

}  // namespace
}  // namespace vm
