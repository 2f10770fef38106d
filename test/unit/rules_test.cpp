#include "core/rules.h"

#include "helpers.h"

namespace vm {
namespace {

// "key: what is wrong (hint)", or "fine".
std::string Verdict(std::string_view rules) {
    Problem problem;
    if (CheckRules(rules, &problem)) {
        EXPECT_EQ(problem.reason, Reason::None);
        return "fine";
    }
    EXPECT_EQ(problem.reason, Reason::BadRule);
    return std::string(problem.path) + ": " + problem.text +
           (*problem.hint ? std::string(" (") + problem.hint + ")" : "");
}

std::string OfColumn(const std::string& rule) {
    return Verdict("{\"columns\":{\"c\":" + rule + "}}");
}

TEST(RulesTest, ReadsAWholeMapping) {
    Rules rules;
    Problem problem;
    ASSERT_TRUE(ReadRules(R"({
        "columns": {
            "tenant_id":  {"default": {"arg": 1}},
            "publish":    {"default": {}, "floor": {"count": 0, "n": -5}, "normalize": true},
            "created_at": {"from": "_id", "as": "objectid_time"},
            "deleted_at": {"from": ["deletedAt", "deleted_at"]},
            "x":          {"ignore": true},
            "y":          {"default": null}
        },
        "watermark": ["updated_at", "deleted_at"],
        "unmapped": "rest",
        "on_error": "quarantine"})",
                          &rules, &problem))
        << problem.text;
    ASSERT_EQ(rules.columns.size(), 6u);
    EXPECT_EQ(rules.columns[0].column, "tenant_id");
    EXPECT_EQ(rules.columns[0].default_arg, 1);
    EXPECT_TRUE(rules.columns[0].has_default);
    EXPECT_EQ(rules.columns[1].default_text, "{}");
    EXPECT_TRUE(rules.columns[1].normalize);
    ASSERT_EQ(rules.columns[1].floors.size(), 2u);
    EXPECT_EQ(rules.columns[1].floors[1].name, "n");
    EXPECT_EQ(rules.columns[1].floors[1].fallback, "-5");
    EXPECT_EQ(rules.columns[2].as, Conversion::ObjectIdTime);
    EXPECT_EQ(rules.columns[3].from, (std::vector<std::string>{"deletedAt", "deleted_at"}));
    EXPECT_TRUE(rules.columns[4].ignore);
    EXPECT_FALSE(rules.columns[4].has_default);
    EXPECT_TRUE(rules.columns[5].has_default);
    EXPECT_EQ(rules.columns[5].default_text, "null");
    EXPECT_EQ(rules.watermark, (std::vector<std::string>{"updated_at", "deleted_at"}));
    EXPECT_EQ(rules.unmapped, "rest");
    EXPECT_EQ(rules.on_error, OnError::Quarantine);
}

TEST(RulesTest, EmptyAndShortForms) {
    EXPECT_EQ(Verdict("{}"), "fine");
    EXPECT_EQ(Verdict(R"({"columns": {}, "watermark": "updated_at", "on_error": "raise"})"), "fine");
    for (const char* as : {"objectid_time", "epoch_seconds", "floor", "round", "json_text"})
        EXPECT_EQ(OfColumn(std::string("{\"as\":\"") + as + "\"}"), "fine");
    for (const char* value :
         {"null", "1.50", "\"x\"", "[1]", R"({"arg":1,"x":2})", R"({"arg":1,"arg":2})", R"({"$date":0})"})
        EXPECT_EQ(OfColumn(std::string("{\"default\":") + value + "}"), "fine") << value;
    EXPECT_STREQ(ConversionName(Conversion::JsonText), "json_text");
    EXPECT_EQ(ConversionName(Conversion::Own), nullptr);
}

TEST(RulesTest, UnknownKeysAreNamedWithAHint) {
    EXPECT_EQ(Verdict(R"({"colums": {}})"),
              "colums: unknown key \"colums\" (Known keys are columns, watermark, unmapped and on_error.)");
    EXPECT_EQ(OfColumn(R"({"form": "x"})"),
              "columns.c.form: unknown key \"form\" for column \"c\" (Known keys are from, default, as, "
              "floor, normalize and ignore.)");
    EXPECT_EQ(OfColumn(R"({"as": "objectid"})"),
              "columns.c.as: \"as\" names no conversion (Known are objectid_time, epoch_seconds, floor, "
              "round and json_text.)");
}

TEST(RulesTest, WrongShapesNameTheKey) {
    const auto key = [](const std::string& verdict) { return verdict.substr(0, verdict.find(':')); };
    for (const char* rules :
         {"", "{", "[]", "5", "null", "\"x\"", "{} {}", "{\"columns\":{\"a\\u0000\":{}}}"})
        EXPECT_EQ(key(Verdict(rules)), "") << rules;
    for (const char* rules : {R"({"columns":[]})", R"({"columns":null})"})
        EXPECT_EQ(key(Verdict(rules)), "columns");
    for (const char* value : {"1", "[]", "[1]", "null", "\"\"", "[\"a\",\"\"]", "{}"})
        EXPECT_EQ(key(Verdict(std::string("{\"watermark\":") + value + "}")), "watermark") << value;
    for (const char* value : {"1", "\"\"", "[\"a\"]"})
        EXPECT_EQ(key(Verdict(std::string("{\"unmapped\":") + value + "}")), "unmapped") << value;
    for (const char* value : {"1", "\"Raise\"", "\"skip\"", "null"})
        EXPECT_EQ(key(Verdict(std::string("{\"on_error\":") + value + "}")), "on_error") << value;
    for (const char* rule : {"1", "null", "[]", "\"field\""})
        EXPECT_EQ(key(OfColumn(rule)), "columns.c") << rule;
    for (const char* value : {"1", "null", "[]", "[1]", "\"\"", "{}"})
        EXPECT_EQ(key(OfColumn(std::string("{\"from\":") + value + "}")), "columns.c.from") << value;
    for (const char* value : {"1", "null", "\"\"", "\"own\"", "[\"floor\"]"})
        EXPECT_EQ(key(OfColumn(std::string("{\"as\":") + value + "}")), "columns.c.as") << value;
    for (const char* value :
         {"1", "{}", "[]", R"({"n":"0"})", R"({"n":1.5})", R"({"n":null})", R"({"n":9223372036854775808})"})
        EXPECT_EQ(key(OfColumn(std::string("{\"floor\":") + value + "}")), "columns.c.floor") << value;
    for (const char* name : {"normalize", "ignore"})
        for (const char* value : {"1", "\"true\"", "null"})
            EXPECT_EQ(key(OfColumn(std::string("{\"") + name + "\":" + value + "}")),
                      std::string("columns.c.") + name)
                << value;
    EXPECT_EQ(key(Verdict(R"({"columns":{"a":{},"\u0061":{}}})")), "columns.a");
}

TEST(RulesTest, DefaultArgumentsCountFromOne) {
    EXPECT_EQ(OfColumn(R"({"default":{"arg":1}})"), "fine");
    for (const char* value : {"\"1\"", "1.5", "100", "1e400", "null", "true"})
        EXPECT_EQ(OfColumn(std::string("{\"default\":{\"arg\":") + value + "}}").substr(0, 17),
                  "columns.c.default")
            << value;
}

TEST(RulesTest, DefaultArgumentZeroOrLessIsRefused) {
    for (const char* value : {"0", "-0", "-1", "-99"})
        EXPECT_EQ(OfColumn(std::string("{\"default\":{\"arg\":") + value + "}}").substr(0, 17),
                  "columns.c.default")
            << value;
}

TEST(RulesTest, LongNamesAreCutToFitTheProblem) {
    const std::string name = vm_test::Repeat("é", 500);
    Problem problem;
    EXPECT_FALSE(CheckRules("{\"" + name + "\":1}", &problem));
    EXPECT_LT(std::strlen(problem.path), sizeof(problem.path));
    EXPECT_LT(std::strlen(problem.text), sizeof(problem.text));
    EXPECT_EQ(std::string(problem.path).substr(std::strlen(problem.path) - 3), "…");
}

}  // namespace
}  // namespace vm
