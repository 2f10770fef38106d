#include "core/transform.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Repeat;
using vm_test::Show;

ColumnSpec Spec(const char* name, Kind kind, bool array = false, bool required = false,
                bool has_default = false) {
    ColumnSpec spec;
    spec.name = name;
    spec.type_name = "the_type";
    spec.kind = kind;
    spec.array = array;
    spec.required = required;
    spec.has_default = has_default;
    return spec;
}

// A table, its rules and a workspace; Row gives "column=value …" or the problem.
class TransformTest : public testing::Test {
  protected:
    void Table(std::string_view rules, const std::vector<ColumnSpec>& specs) {
        const std::vector<std::string> args = {"TENANT", "PROJECT"};
        Problem problem;
        ASSERT_TRUE(Compile(rules, specs, &args, &plan_, &problem)) << problem.path << ": " << problem.text;
    }

    // The article's table and mapping.
    void Voucher() {
        Table(
            R"({"columns":{"tenant_id":{"default":{"arg":1}},"id":{"default":"MISSING"},"deleted":{"default":false},
                  "publish":{"default":{},"floor":{"count":0}},"created_at":{"from":"_id","as":"objectid_time"},
                  "deleted_at":{"from":["deletedAt","deleted_at"]}},"watermark":["updated_at","deleted_at"]})",
            {Spec("tenant_id", Kind::Text), Spec("id", Kind::Text), Spec("deleted", Kind::Bool),
             Spec("discount", Kind::Jsonb), Spec("publish", Kind::Jsonb), Spec("days", Kind::Int4, true),
             Spec("created_at", Kind::TimestampTz), Spec("updated_at", Kind::TimestampTz),
             Spec("deleted_at", Kind::TimestampTz)});
    }

    std::string Fields() {
        std::string s;
        for (size_t c = 0; c < plan_.columns.size(); ++c) {
            const Column& column = plan_.columns[c];
            const std::string value = Show(work_.values[c], column.target.kind, &work_.output);
            if (value != "null") s += (s.empty() ? "" : " ") + column.spec.name + "=" + value;
        }
        return s;
    }

    std::string Row(std::string_view doc) {
        const Reason reason = work_.Read(doc, true, false, true, nullptr);
        if (reason != Reason::None) return Info(reason).name;
        if (work_.Transform(plan_, false)) return Fields();
        const Problem& p = work_.problems.back();
        return std::string(Info(p.reason).sqlstate) + " " +
               plan_.columns[static_cast<size_t>(p.column)].spec.name + " <- " + p.path + ": " + p.value;
    }

    Plan plan_;
    Workspace work_;
};

TEST_F(TransformTest, TheArticlesVoucher) {
    Voucher();
    EXPECT_EQ(Row(R"({"_id":{"$oid":"5dea38507b0b3a0012345678"},"id":"v_1","deleted":false,
        "discount":{"type":"AMOUNT","amount_off":{"$numberLong":"1000"}},"publish":{"object":"list","count":"1.00001"},
        "days":[1,2,"3"],"updated_at":{"$date":1575648464999},"deletedAt":null})"),
              "tenant_id='TENANT' id='v_1' deleted=0 "
              R"(discount={"type": "AMOUNT", "amount_off": {"$numberLong": "1000"}} )"
              R"(publish={"count": 1, "object": "list"} days={1,2,3} )"
              "created_at=628946128000000 updated_at=628963664999000");
    EXPECT_EQ(Row("{}"), R"(tenant_id='TENANT' id='MISSING' deleted=0 publish={"count": 0})");
    EXPECT_EQ(Row(R"({"tenant_id":5,"id":{"b":1,"a":2},"deleted":"Y","publish":null})"),
              R"(tenant_id='5' id='{"a": 2, "b": 1}' deleted=1 publish={"count": 0})");
}

TEST_F(TransformTest, OnlyObjectsAreDocuments) {
    Voucher();
    for (const char* doc : {"[1]", "\"str\"", "null", "5"})
        EXPECT_EQ(Row(doc), "root is not an object") << doc;
    for (const char* doc :
         {"", "{", "{\"id\":1,}", "{\"id\":\"a\\u0000b\"}", "{\"x\":1e131072}", "{\"x\":NaN}"})
        EXPECT_EQ(Row(doc), "not JSON") << doc;
    EXPECT_EQ(Row("{\"x\":" + Repeat("[", 3000) + Repeat("]", 3000) + "}"), "undecided");
    EXPECT_EQ(work_.Read("[1]", true, false, false, nullptr), Reason::None);
}

TEST_F(TransformTest, OfEqualKeysTheLastWinsEvenIfNull) {
    Voucher();
    EXPECT_EQ(Row(R"({"id":"a","id":"b"})").substr(19, 6), "id='b'");
    EXPECT_EQ(Row(R"({"id":"a","\u0069d":"c"})").substr(19, 6), "id='c'");
    EXPECT_EQ(Row(R"({"id":"a","id":null})").substr(19, 12), "id='MISSING'");
}

TEST_F(TransformTest, SourcesAreTriedInOrder) {
    Voucher();
    const auto deleted_at = [&] { return work_.values[8]; };
    Row(R"({"deleted_at":{"$date":946684800002},"deletedAt":{"$date":946684800001}})");
    EXPECT_EQ(deleted_at().i, 1000);
    EXPECT_EQ(deleted_at().source, 0);
    Row(R"({"deletedAt":{"$date":null},"deleted_at":{"$date":946684800002}})");
    EXPECT_EQ(deleted_at().i, 2000) << "a wrapped null is a null";
    EXPECT_EQ(deleted_at().source, 1);
    Row("{}");
    EXPECT_EQ(deleted_at().source, kFromNowhere);
    EXPECT_EQ(work_.values[1].source, kFromDefault);
}

TEST_F(TransformTest, Paths) {
    Table(
        R"({"columns":{"a":{"from":"p.q.1"},"b":{"from":"x\\.y.z"},"c":{"from":["p.none","p.q.0.r","l.0"]},"d":{"from":"p.q.01"},
              "e":{"from":".k"}}})",
        {Spec("a", Kind::Text), Spec("b", Kind::Text), Spec("c", Kind::Text), Spec("d", Kind::Text),
         Spec("e", Kind::Text)});
    EXPECT_EQ(Row(R"({"p":{"q":[{"r":"R"},"one"]},"x.y":{"z":"Z"},"x":{"y":{"z":"no"}},"":{"k":"K"}})"),
              "a='one' b='Z' c='R' d='one' e='K'");
    EXPECT_EQ(Row(R"({"p":{"q":{"1":"member"}},"l":[7]})"), "a='member' c='7'")
        << "a number names a member of an object";
    EXPECT_EQ(Row(R"({"p":{"q":[1]},"l":[]})"), "");
    EXPECT_EQ(Row(R"({"p":"q","l":"0"})"), "");
    EXPECT_EQ(Row(R"({"p":{"q":[1,2],"q":[3,4]}})"), "a='4' d='4'");
}

TEST_F(TransformTest, OneFieldForManyColumns) {
    Table(R"({"columns":{"a":{"from":"x"},"b":{"from":"x"},"c":{"from":"x"},"d":{"from":"x"}}})",
          {Spec("a", Kind::Text), Spec("b", Kind::Other), Spec("c", Kind::Jsonb), Spec("d", Kind::Text)});
    EXPECT_EQ(Row(R"({"x":"abc"})"), R"(a='abc' b=input 'abc' c="abc" d='abc')");
    EXPECT_EQ(Row(R"({"x":""})"), R"(a='' b=input '' c="" d='')");
    const std::string text = Repeat("é", 100);
    EXPECT_EQ(Row("{\"x\":\"" + text + "\"}"),
              "a='" + text + "' b=input '" + text + "' c=\"" + text + "\" d='" + text + "'");
}

TEST_F(TransformTest, ProblemsNameColumnPathAndValue) {
    Voucher();
    EXPECT_EQ(Row(R"({"deleted":"maybe"})"), "22P02 deleted <- deleted: maybe");
    EXPECT_EQ(Row(R"({"days":[1,{"a":1}]})"), R"(22P02 days <- days[1]: {"a": 1})");
    EXPECT_EQ(Row(R"({"days":"1,2"})"), "22023 days <- days: 1,2");
    EXPECT_EQ(Row(R"({"publish":{"count":"abc"}})"), "22P02 publish <- publish.count: abc");
    EXPECT_EQ(Row(R"({"updated_at":{"$date":9224318016000000}})"),
              R"(22008 updated_at <- updated_at: {"$date": 9224318016000000})");
    EXPECT_EQ(Row(R"({"deleted_at":"now"})"), "22007 deleted_at <- deleted_at: now");
    EXPECT_EQ(Row(R"({"_id":{"$oid":"5de"}})"), R"(22P02 created_at <- _id: {"$oid": "5de"})");
    const std::string row = Row("{\"deleted\":\"" + Repeat("é", 1000) + "\"}");
    EXPECT_LT(row.size(), 150u);
    EXPECT_EQ(row.substr(row.size() - 3), "…");
    EXPECT_LT(Row("{\"deleted\":[" + Repeat("1,", 100000) + "1]}").size(), 150u);
}

TEST_F(TransformTest, AllColumnsAreTriedIfAsked) {
    Voucher();
    ASSERT_EQ(work_.Read(R"({"deleted":"maybe","days":5,"id":"v","publish":{"count":true}})", true, false,
                         true, nullptr),
              Reason::None);
    EXPECT_FALSE(work_.Transform(plan_, true));
    ASSERT_EQ(work_.problems.size(), plan_.columns.size());
    std::string bad;
    for (size_t c = 0; c < plan_.columns.size(); ++c) {
        EXPECT_EQ(work_.problems[c].column, static_cast<int>(c));
        if (work_.problems[c].reason != Reason::None) {
            bad += plan_.columns[c].spec.name + " ";
            EXPECT_EQ(work_.values[c].form, Form::Null);
        }
    }
    EXPECT_EQ(bad, "deleted publish days ");
    EXPECT_EQ(Fields(), "tenant_id='TENANT' id='v'");
}

TEST_F(TransformTest, RequiredColumns) {
    Table(R"({"columns":{"b":{"default":1}}})",
          {Spec("a", Kind::Text, false, true), Spec("b", Kind::Int4, false, true),
           Spec("c", Kind::Int4, false, true, true)});
    EXPECT_EQ(Row(R"({"a":"x"})"), "a='x' b=1 c=left alone") << "the table's own DEFAULT fills c";
    EXPECT_EQ(Row(R"({"a":"x","c":2})"), "a='x' b=1 c=2");
    EXPECT_EQ(Row("{}"), "23502 a <- a: ");
    EXPECT_EQ(Row(R"({"a":{"$undefined":true}})"), "23502 a <- a: ");
}

TEST_F(TransformTest, ColumnsWithATableDefaultAreLeftAlone) {
    Table(R"({"columns":{"b":{"default":7}}})",
          {Spec("a", Kind::Int4, false, false, true), Spec("b", Kind::Int4, false, false, true)});
    EXPECT_EQ(Row("{}"), "a=left alone b=7");
    EXPECT_EQ(work_.values[0].source, kLeftAlone);
    EXPECT_EQ(work_.values[0].form, Form::Null);
    EXPECT_EQ(Row(R"({"a":null})"), "a=left alone b=7");
    EXPECT_EQ(Row(R"({"a":1,"b":2})"), "a=1 b=2");
    EXPECT_EQ(work_.values[0].source, 0);
}

TEST_F(TransformTest, ConcatenationIsNoted) {
    Voucher();
    EXPECT_NE(Row(R"({"publish":[1,2]})").find(R"(publish=[1, 2, {"count": 0}])"), std::string::npos);
    EXPECT_EQ(work_.concatenated, 4);
    Row(R"({"publish":{}})");
    EXPECT_EQ(work_.concatenated, -1);
}

TEST_F(TransformTest, ArrayDefaultsComeAfterArraysOfTheDocument) {
    Table(R"({"columns":{"b":{"default":[7,null]}}})",
          {Spec("a", Kind::Int4, true), Spec("b", Kind::Int4, true), Spec("c", Kind::Text, true)});
    EXPECT_EQ(Row(R"({"a":[1,2],"c":["x"]})"), "a={1,2} b={7,null} c={'x'}");
    EXPECT_EQ(Row(R"({"b":[]})"), "b={}");
}

TEST_F(TransformTest, UnmappedTakesWhatNoColumnTook) {
    Table(
        R"({"columns":{"a":{"from":["x","y"]},"b":{"from":"p.q"},"made":{"from":"_id","as":"objectid_time"},"rest":{"normalize":true}},
              "unmapped":"rest"})",
        {Spec("a", Kind::Text), Spec("b", Kind::Text), Spec("made", Kind::TimestampTz),
         Spec("rest", Kind::Jsonb)});
    EXPECT_EQ(Row(R"({"x":"X","z":{"$numberInt":"1"},"y":2})"), R"(a='X' rest={"y": 2, "z": 1})")
        << "the second source was not taken";
    EXPECT_EQ(Row(R"({"p":{"q":"Q","r":1}})"), R"(b='Q' rest={"p": {"q": "Q", "r": 1}})")
        << "a part of p is not all of it";
    EXPECT_EQ(Row(R"({"z":1,"x":"X","z":2})"), R"(a='X' rest={"z": 2})");
    EXPECT_EQ(Row(R"({"x":"X","x":"Y"})"), "a='Y'");
    EXPECT_EQ(Row(R"({"x":null,"y":"Y","z":null})"), R"(a='Y' rest={"z": null})")
        << "a null that was read is no stray";
    EXPECT_EQ(Row(R"({"_id":{"$oid":"5dea38507b0b3a0012345678"}})"),
              R"(made=628946128000000 rest={"_id": "5dea38507b0b3a0012345678"})")
        << "an _id is more than its time";
    EXPECT_EQ(Row("{}"), "");
    EXPECT_EQ(Row(R"({"rest":{"a":1}})"), R"(rest={"rest": {"a": 1}})");
    EXPECT_EQ(Row(R"({"":1,"$oid":"5dea38507b0b3a0012345678"})"),
              R"(rest={"": 1, "$oid": "5dea38507b0b3a0012345678"})");
}

// The root is never a wrapper, and what is collected from it is none either.
TEST_F(TransformTest, UnmappedIsNeverAWrapper) {
    Table(R"({"columns":{"rest":{"normalize":true}},"unmapped":"rest"})", {Spec("rest", Kind::Jsonb)});
    EXPECT_EQ(Row(R"({"$numberInt":"1"})"), R"(rest={"$numberInt": "1"})");
    EXPECT_EQ(Row(R"({"$oid":{"$oid":"5dea38507b0b3a0012345678"}})"),
              R"(rest={"$oid": "5dea38507b0b3a0012345678"})");
}

TEST_F(TransformTest, UnmappedReportsAFloorThatIsNoNumber) {
    Table(R"({"columns":{"rest":{"floor":{"count":0}}},"unmapped":"rest"})", {Spec("rest", Kind::Jsonb)});
    EXPECT_EQ(Row(R"({"count":1.5,"x":1})"), R"(rest={"x": 1, "count": 1})");
    EXPECT_EQ(Row(R"({"count":"abc","x":1})").substr(0, 5), "22P02")
        << "the other fields would be lost in silence";
}

TEST_F(TransformTest, UnmappedFallsBackToItsDefault) {
    Table(R"({"columns":{"rest":{"default":{}}},"unmapped":"rest"})",
          {Spec("a", Kind::Text), Spec("rest", Kind::Jsonb)});
    EXPECT_EQ(Row(R"({"a":"x"})"), "a='x' rest={}");
}

TEST_F(TransformTest, UnmappedWithATableDefaultIsLeftAlone) {
    Table(R"({"unmapped":"rest"})", {Spec("a", Kind::Text), Spec("rest", Kind::Jsonb, false, true, true)});
    EXPECT_EQ(Row(R"({"a":"x"})"), "a='x' rest=left alone");
}

TEST_F(TransformTest, HundredThousandKeysAndElements) {
    Table(R"({"unmapped":"rest"})",
          {Spec("id", Kind::Text), Spec("days", Kind::Int4, true), Spec("rest", Kind::Jsonb)});
    std::string doc = "{\"id\":\"v\",\"days\":[" + Repeat("1,", 999999) + "2]";
    for (int i = 0; i < 100000; ++i) doc += ",\"key" + std::to_string(i) + "\":" + std::to_string(i);
    ASSERT_EQ(work_.Read(doc + "}", true, false, true, nullptr), Reason::None);
    ASSERT_TRUE(work_.Transform(plan_, false));
    EXPECT_EQ(work_.values[1].count, 1000000u);
    std::string text;
    ASSERT_TRUE(vm_test::JsonbText().Read(AddressOf(work_.values[2], work_.output.bytes.data()), &text));
    EXPECT_EQ(text.substr(0, 23), R"({"key0": 0, "key1": 1, )");
    work_.Trim();
    EXPECT_EQ(Row(R"({"id":"w","x":1})"), R"(id='w' rest={"x": 1})");
}

TEST_F(TransformTest, DepthOfAHundredThousandOnceTheServerAgreed) {
    Table(R"({"columns":{"n":{"normalize":true},"f":{"floor":{"count":0}}},"unmapped":"rest"})",
          {Spec("t", Kind::Text), Spec("n", Kind::Jsonb), Spec("f", Kind::Jsonb), Spec("a", Kind::Text, true),
           Spec("rest", Kind::Jsonb)});
    const std::string deep = Repeat("{\"$a\":[", 50000) + Repeat("]}", 50000);
    for (const char* field : {"t", "n", "f", "other"}) {
        ASSERT_EQ(work_.Read("{\"" + std::string(field) + "\":" + deep + "}", true, true, true, nullptr),
                  Reason::None);
        EXPECT_TRUE(work_.Transform(plan_, false)) << field;
    }
    ASSERT_EQ(work_.Read("{\"a\":[" + deep + "]}", true, true, true, nullptr), Reason::None);
    EXPECT_TRUE(work_.Transform(plan_, false));
    const volatile std::sig_atomic_t cancel = 1;
    EXPECT_EQ(work_.Read("{\"t\":" + deep + "}", true, true, true, &cancel), Reason::Cancelled);
}

TEST_F(TransformTest, DocumentIdIsReadable) {
    EXPECT_EQ(work_.DocumentId(), "");
    const auto id = [&](std::string_view doc) {
        work_.Read(doc, true, false, false, nullptr);
        return work_.DocumentId();
    };
    EXPECT_EQ(id(R"({"_id":{"$oid":"5dea38507b0b3a0012345678"}})"), "5dea38507b0b3a0012345678");
    EXPECT_EQ(id(R"({"_id":"x","_id":"y"})"), "y");
    EXPECT_EQ(id(R"({"_id":12.50})"), "12.50");
    EXPECT_EQ(id(R"({"_id":{"b":1,"a":2}})"), R"({"a": 2, "b": 1})");
    EXPECT_EQ(id(R"({"_id":{"$oid":"bad"}})"), R"({"$oid": "bad"})");
    EXPECT_EQ(id(R"({"_id":null})"), "");
    EXPECT_EQ(id("{}"), "");
    EXPECT_EQ(id("[{\"_id\":1}]"), "");
    EXPECT_EQ(id("{\"_id\":5,"), "") << "half a document";
}

TEST_F(TransformTest, AWorkspaceServesDocumentAfterDocument) {
    Voucher();
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(Row(R"({"id":")" + Repeat("x", 20000) + R"(","days":5})").substr(0, 5), "22023");
        EXPECT_EQ(Row("{"), "not JSON");
        EXPECT_EQ(Row(R"({"id":"v"})"), R"(tenant_id='TENANT' id='v' deleted=0 publish={"count": 0})");
        if (round == 1) work_.Trim();
    }
}

}  // namespace
}  // namespace vm
