#include "core/propose.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/plan.h"

namespace vm {
namespace {

class ProposeTest : public testing::Test {
  protected:
    void Add(const std::string& json) {
        ParsedText doc;
        ASSERT_TRUE(doc.Read(json)) << json;
        profiler_.Add(doc.tape, "");
    }
    std::string Script() { return Propose(profiler_, "public.t", "m", "vm", ""); }
    // The line of a column, blanks squeezed; empty if there is none.
    std::string Column(const std::string& name) {
        const std::string script = Script();
        const size_t at = script.find("\n    " + name + " ");
        if (at == std::string::npos) return {};
        std::string line;
        for (char c : script.substr(at + 5, script.find('\n', at + 1) - at - 5))
            if (c != ' ' || (!line.empty() && line.back() != ' ')) line += c;
        return line;
    }
    bool Says(const std::string& text) {
        const bool found = Script().find(text) != std::string::npos;
        if (!found) ADD_FAILURE() << "not in\n" << Script();
        return found;
    }
    Profiler profiler_;
};

TEST(NamesTest, SnakeCase) {
    EXPECT_EQ(SnakeCase("restaurantId"), "restaurant_id");
    EXPECT_EQ(SnakeCase("deleted_at"), "deleted_at");
    EXPECT_EQ(SnakeCase("HTTPServerURL"), "http_server_url");
    EXPECT_EQ(SnakeCase("address2Line"), "address2_line");
    EXPECT_EQ(SnakeCase("A-B c"), "a_b_c");
    EXPECT_EQ(SnakeCase("_class"), "_class");
    EXPECT_EQ(SnakeCase("a.b"), "a_b");
    EXPECT_EQ(SnakeCase("!?"), "field");
    EXPECT_EQ(SnakeCase("stra\xC3\x9F"
                        "e"),
              "stra\xC3\x9F"
              "e");
    EXPECT_EQ(SnakeCase("x\n); DROP TABLE y; --"), "x_drop_table_y");
    EXPECT_EQ(SnakeCase(std::string(80, 'a')).size(), 63u);
    EXPECT_EQ(SnakeCase("a" + std::string(61, 'a') + "\xC3\xA4"), std::string(62, 'a'));
}

TEST(NamesTest, Quotes) {
    EXPECT_EQ(QuoteIdentifier("name"), "name");
    EXPECT_EQ(QuoteIdentifier("order"), "\"order\"");
    EXPECT_EQ(QuoteIdentifier("all"), "\"all\"");
    EXPECT_EQ(QuoteIdentifier("xmltable"), "\"xmltable\"");
    EXPECT_EQ(QuoteIdentifier("timestamp"), "\"timestamp\"");
    EXPECT_EQ(QuoteIdentifier("2fa"), "\"2fa\"");
    EXPECT_EQ(QuoteIdentifier("Mixed"), "\"Mixed\"");
    EXPECT_EQ(QuoteIdentifier("a\"b"), "\"a\"\"b\"");
    EXPECT_EQ(QuoteIdentifier(""), "\"\"");
    EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
}

// Nested dates, no _id: the shape of an inspection register.
TEST_F(ProposeTest, RecordsWithoutId) {
    for (int i = 0; i < 300; ++i)
        Add(R"({"place": {"house": "1", "coord": [-73.5, 40.25]}, "area": "Bronx", "visits": [{"date": {"$date": 13938048)" +
            std::to_string(10000 + i) + R"(}, "grade": "A", "score": 2}], "name": "n)" +
            std::to_string(i % 290) + R"(", "place_id": ")" + std::to_string(30000 + i) + "\"}");
    EXPECT_EQ(Propose(profiler_, "public.places", "places", "vm", "public.docs"),
              R"(-- A table and a mapping for the documents of public.docs, to read, amend and run.
--
-- 300 documents, 5 fields at the root.
-- Key: place_id (in every document and never the same twice).
-- No watermark: no time field is named like updated, modified or deleted. If one says when a document
-- changed, name it; without it no version is late, and a move never replaces a row.

CREATE TABLE public.places (
    place        jsonb  NOT NULL, -- object
    area         text   NOT NULL,
    visits       jsonb  NOT NULL, -- array of objects
    name         text   NOT NULL,
    place_id     text   NOT NULL,
    other_fields jsonb,           -- whatever no other column takes
    PRIMARY KEY (place_id)
);

SELECT vm.vm_define_mapping('places', '{
  "columns": {
    "place":        {"normalize": true},
    "visits":       {"normalize": true},
    "other_fields": {"normalize": true}
  },
  "unmapped": "other_fields",
  "on_error": "quarantine"
}');
)");
}

// Canonical wrappers, a map keyed by ids, a field that few have: the shape of a customer base.
TEST_F(ProposeTest, RecordsWithWrappersAndAMap) {
    for (int i = 0; i < 300; ++i) {
        char key[40];
        snprintf(key, sizeof(key), "%032x", static_cast<unsigned>(i) * 2654435761u);
        Add(R"({"_id": {"$oid": "5ca4bbcea2dd94ee58)" + std::to_string(100000 + i) + R"("}, "userName": "u)" +
            std::to_string(i) + R"(", "birthdate": {"$date": {"$numberLong": "-22611723100)" +
            std::to_string(i % 10) + "\"}}, " + (i == 5 ? R"("active": true, )" : "") +
            R"("accounts": [{"$numberInt": "371138"}, {"$numberInt": "1"}], "tiers": {")" + key +
            R"(": {"tier": "Gold"}}, "lastModified": {"$date": "2019-12-06T16:07:44.999Z"}})");
    }
    EXPECT_EQ(Propose(profiler_, "crm.customers", "it's", "My \"schema", "x\ny"),
              R"(-- A table and a mapping for the documents of x?y, to read, amend and run.
--
-- 300 documents, 7 fields at the root.
-- Key: id (_id).

CREATE TABLE crm.customers (
    id            text        NOT NULL, -- objectid
    user_name     text        NOT NULL,
    birthdate     timestamptz NOT NULL,
    accounts      integer[]   NOT NULL,
    tiers         jsonb       NOT NULL, -- object used as a map: its keys are data
    last_modified timestamptz NOT NULL,
    active        boolean,
    other_fields  jsonb,                -- whatever no other column takes
    PRIMARY KEY (id)
);

SELECT "My ""schema".vm_define_mapping('it''s', '{
  "columns": {
    "id":           {"from": "_id"},
    "tiers":        {"normalize": true},
    "other_fields": {"normalize": true}
  },
  "watermark": ["last_modified"],
  "unmapped":  "other_fields",
  "on_error":  "quarantine"
}');
)");
}

TEST_F(ProposeTest, ScalarTypes) {
    Add(R"({"b": true, "small": 5, "large": 3000000000, "long": {"$numberLong": "1"}, "huge": 99999999999999999999,
            "price": 1.25, "dbl": {"$numberDouble": "2.0"}, "d": {"$date": 1}, "t": "x", "u": {"$uuid":
            "01234567-89ab-cdef-0123-456789abcdef"}, "bin": {"$binary": {"base64": "AAEC", "subType": "00"}},
            "o": {"$oid": "5dea38507b0b3a0012345678"}, "ts": {"$timestamp": {"t": 1, "i": 2}},
            "iso": "2019-12-06T16:07:44Z", "day": "2019-12-06", "ms": 1575648464123, "nil": null,
            "near": 2000000000})");
    EXPECT_EQ(Column("b"), "b boolean NOT NULL,");
    EXPECT_EQ(Column("small"), "small integer NOT NULL,");
    EXPECT_EQ(Column("near"), "near bigint NOT NULL,");
    EXPECT_EQ(Column("large"), "large bigint NOT NULL,");
    EXPECT_EQ(Column("long"), "long bigint NOT NULL,");
    EXPECT_EQ(Column("huge"), "huge numeric NOT NULL, -- integers beyond 64 bits");
    EXPECT_EQ(Column("price"), "price numeric NOT NULL, -- up to 2 decimals");
    EXPECT_EQ(Column("dbl"), "dbl numeric NOT NULL, -- up to 1 decimal");
    EXPECT_EQ(Column("d"), "d timestamptz NOT NULL,");
    EXPECT_EQ(Column("t"), "t text NOT NULL,");
    EXPECT_EQ(Column("u"), "u uuid NOT NULL,");
    EXPECT_EQ(Column("bin"), "bin bytea NOT NULL,");
    EXPECT_EQ(Column("o"), "o text NOT NULL, -- objectid");
    EXPECT_EQ(Column("ts"), "ts jsonb NOT NULL, -- timestamp: its ordinal would not fit timestamptz");
    EXPECT_EQ(Column("iso"), "iso timestamptz NOT NULL, -- from ISO 8601 text");
    EXPECT_EQ(Column("day"), "day text NOT NULL, -- all are days: date would hold them");
    EXPECT_EQ(Column("ms"), "ms bigint NOT NULL, -- timestamptz would read these as milliseconds since 1970");
    EXPECT_EQ(Column("nil"), "nil jsonb, -- only null so far, so any type may come");
    EXPECT_TRUE(Says("-- numeric keeps every digit"));
}

TEST_F(ProposeTest, ArrayTypes) {
    Add(R"({"i": [1, null], "n": [1, 2.5], "t": ["a"], "o": [{"a": 1}], "m": [1, "a"], "e": [], "a": [[1]],
            "d": [{"$date": 1}], "z": [null], "s": [1]})");
    Add(R"({"s": 1, "i": null})");
    EXPECT_EQ(Column("i"), "i integer[],");
    EXPECT_EQ(Column("n"), "n numeric[], -- up to 1 decimal");
    EXPECT_EQ(Column("t"), "t text[],");
    EXPECT_EQ(Column("o"), "o jsonb, -- array of objects");
    EXPECT_EQ(Column("m"), "m jsonb, -- mixed");
    EXPECT_EQ(Column("e"), "e jsonb, -- only empty arrays so far");
    EXPECT_EQ(Column("a"), "a jsonb, -- array of arrays");
    EXPECT_EQ(Column("d"), "d timestamptz[],");
    EXPECT_EQ(Column("z"), "z jsonb, -- only nulls in arrays so far");
    EXPECT_EQ(Column("s"), "s jsonb NOT NULL, -- mixed");
    EXPECT_TRUE(Says("--   m: array of integer 1, text 1\n--   s: integer 1, array 1\n"));
}

TEST_F(ProposeTest, MixedTypes) {
    Add(R"({"a": 1, "b": 1, "c": "x", "d": {"$date": 1}, "e": {}})");
    Add(R"({"a": 1.5, "b": "1", "c": {"$oid": "5dea38507b0b3a0012345678"}, "d": "2019-12-06T16:07:44+01:00", "e": []})");
    EXPECT_EQ(Column("a"), "a numeric NOT NULL, -- up to 1 decimal");
    EXPECT_EQ(Column("b"), "b jsonb NOT NULL, -- mixed");
    EXPECT_EQ(Column("c"), "c text NOT NULL, -- text 1, objectid 1");
    EXPECT_EQ(Column("d"), "d timestamptz NOT NULL, -- from ISO 8601 text");
    EXPECT_EQ(Column("e"), "e jsonb NOT NULL, -- mixed");
    EXPECT_TRUE(Says("\"b\":            {\"normalize\": true}"));
}

TEST_F(ProposeTest, FromOnlyWhereTheDefaultWouldNotFind) {
    Add(R"({"deletedAt": 1, "deleted_at": 2, "userId": 3, "URL": 4, "a.b\\c": 5, "it's": 6, "\"q\"": 7, "": 8})");
    EXPECT_EQ(Column("deleted_at"), "deleted_at integer NOT NULL,");
    EXPECT_EQ(Column("deleted_at_2"), "deleted_at_2 integer NOT NULL,");
    EXPECT_TRUE(Says(R"({
  "columns": {
    "deleted_at_2": {"from": "deletedAt"},
    "deleted_at":   {"from": "deleted_at"},
    "url":          {"from": "URL"},
    "a_b_c":        {"from": "a\\.b\\\\c"},
    "it_s":         {"from": "it''s"},
    "q":            {"from": "\"q\""},
    "other_fields": {"normalize": true}
  },)"));
    EXPECT_TRUE(Says("-- 1 field without a column, kept in other_fields.\n"));
}

TEST_F(ProposeTest, NamesNeverCollide) {
    Add(R"({"_id": 1, "id": 2, "Id": 3, "otherFields": 4, "_doc": 5, "xmin": 6, "order": 7})");
    EXPECT_EQ(Column("mongo_id"), "mongo_id integer NOT NULL,");
    EXPECT_EQ(Column("id"), "id integer NOT NULL,");
    EXPECT_EQ(Column("id_2"), "id_2 integer NOT NULL,");
    EXPECT_EQ(Column("other_fields"), "other_fields integer NOT NULL,");
    EXPECT_EQ(Column("other_fields_2"), "other_fields_2 jsonb, -- whatever no other column takes");
    EXPECT_EQ(Column("_doc_2"), "_doc_2 integer NOT NULL,");
    EXPECT_EQ(Column("xmin_2"), "xmin_2 integer NOT NULL,");
    EXPECT_EQ(Column("\"order\""), "\"order\" integer NOT NULL,");
    EXPECT_TRUE(Says("PRIMARY KEY (mongo_id)\n"));
    EXPECT_TRUE(Says("\"unmapped\": \"other_fields_2\""));
    EXPECT_TRUE(Says("\"_doc_2\":         {\"from\": \"_doc\"}"));
}

TEST_F(ProposeTest, KeyPrefersNamesOfIds) {
    for (int i = 0; i < 20; ++i)
        Add(R"({"name": "n)" + std::to_string(i) + R"(", "orderId": )" + std::to_string(i) + "}");
    EXPECT_TRUE(Says("-- Key: order_id (in every document and never the same twice).\n"));
    EXPECT_TRUE(Says("PRIMARY KEY (order_id)\n"));
}

TEST_F(ProposeTest, KeyByAccidentIsDoubted) {
    for (int i = 0; i < 20; ++i) Add(R"({"score": 1, "name": "n)" + std::to_string(i) + "\"}");
    EXPECT_TRUE(
        Says("-- Key: name (in every document and never the same twice. Make sure that is so by design).\n"));
}

TEST_F(ProposeTest, NoKey) {
    Add(R"({"name": "a", "v": 1})");
    Add(R"({"name": "a", "v": null})");
    EXPECT_TRUE(Says("-- No key: "));
    EXPECT_EQ(Script().find("PRIMARY KEY"), std::string::npos);
    EXPECT_TRUE(Says("    other_fields jsonb              -- whatever no other column takes\n);\n"));
}

TEST_F(ProposeTest, AnIdThatRepeats) {
    Add(R"({"_id": 1, "name": "a"})");
    Add(R"({"_id": 1, "name": "b"})");
    EXPECT_TRUE(
        Says("-- Key: id (_id, but it repeats: about 1 different among 2 documents, and of equal ones the "
             "newest wins).\n"));
}

TEST_F(ProposeTest, WatermarksAreTimesOnly) {
    Add(R"({"createdAt": {"$date": 1}, "deletedAt": {"$date": 1}, "updated_at": "2019-12-06T16:07:44Z",
            "modifiedBy": "x", "isDeleted": true, "changed": 1})");
    EXPECT_TRUE(Says("\"watermark\": [\"updated_at\", \"deleted_at\"],\n"));
}

TEST_F(ProposeTest, ValuesThatFitNoColumnAreTold) {
    Add(R"({"_id": 1, "d": {"$date": "soon"}, "ds": [{"$date": "x"}, {"$date": 1}]})");
    EXPECT_TRUE(Says("-- d: 1 value no timestamptz can hold; quarantined until mended.\n"));
    EXPECT_TRUE(Says("-- ds: 1 value no timestamptz[] can hold; quarantined until mended.\n"));
}

TEST_F(ProposeTest, NothingToPropose) {
    Add("[]");
    EXPECT_EQ(Script(),
              "-- A table and a mapping for the documents, to read, amend and run.\n--\n-- 0 documents, 0 "
              "fields at the "
              "root.\n-- 1 more document left aside: the root is no object.\n-- Nothing can be proposed.\n");
}

TEST_F(ProposeTest, MoreFieldsThanColumns) {
    std::string doc = "{\"_id\": 1";
    for (int i = 0; i < 1500; ++i) doc += ", \"f" + std::to_string(i) + "\": [1]";
    Add(doc + "}");
    EXPECT_TRUE(Says("-- 501 fields without a column, kept in other_fields.\n"));
    EXPECT_EQ(Column("f998"), "f998 integer[] NOT NULL,");
    EXPECT_EQ(Column("f999"), "");
}

// What is proposed must be what the mapping's compiler accepts, and each field must end where it should.
TEST_F(ProposeTest, RulesCompile) {
    Add(R"({"_id": "k", "deletedAt": {"$date": 1}, "a.b": {"x": 1}, "list": [1, 2]})");
    const std::string script = Script();
    const size_t from = script.find("'{") + 1, to = script.find("}'") + 1;
    const std::string rules = script.substr(from, to - from);
    std::vector<ColumnSpec> specs(5);
    const char* names[] = {"id", "deleted_at", "a_b", "list", "other_fields"};
    const Kind kinds[] = {Kind::Text, Kind::TimestampTz, Kind::Jsonb, Kind::Int4, Kind::Jsonb};
    for (size_t i = 0; i < 5; ++i) {
        specs[i].name = names[i];
        specs[i].kind = kinds[i];
    }
    specs[3].array = true;
    Plan plan;
    Problem problem;
    ASSERT_TRUE(Compile(rules, specs, nullptr, &plan, &problem)) << problem.path << ": " << problem.text;
    EXPECT_EQ(plan.columns[2].sources[0].path, R"(a\.b)");
    EXPECT_EQ(plan.columns[2].sources[0].steps.size(), 0u);
    EXPECT_EQ(plan.watermark, std::vector<uint32_t>{1});
    EXPECT_EQ(plan.unmapped, 4);
}

}  // namespace
}  // namespace vm
