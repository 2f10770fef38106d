#include "core/profile.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "core/hll.h"
#include "core/plan.h"

namespace vm {
namespace {

class ProfileTest : public testing::Test {
  protected:
    void Add(const std::string& json, const std::string& id = "") {
        ParsedText doc;
        ASSERT_TRUE(doc.Read(json)) << json;
        profiler_.Add(doc.tape, id);
    }
    const PathProfile& At(const std::string& path) {
        for (size_t i = 0; i < profiler_.Rows(); ++i)
            if (profiler_.Row(i).path() == path) return profiler_.Row(i);
        ADD_FAILURE() << "no path " << path;
        return profiler_.Row(0);
    }
    std::string Paths() {
        std::string all;
        for (size_t i = 0; i < profiler_.Rows(); ++i) all += (i ? " " : "") + profiler_.Row(i).path();
        return all;
    }
    Profiler profiler_;
};

std::string Hex(unsigned n) {
    char text[40];
    snprintf(text, sizeof(text), "%08x%08x%08x%08x", n * 2654435761u, n, n * 40503u, ~n);
    return text;
}

TEST(DistinctCounterTest, ExactWhileFewThenWithinAFewPercent) {
    DistinctCounter few, many;
    for (int i = 0; i < 1000; ++i) few.Add(MixHash(static_cast<uint64_t>(i % 256)));
    EXPECT_EQ(few.Estimate(), 256u);
    for (uint64_t n : {1000u, 6000u, 50000u, 1000000u}) {
        DistinctCounter c;
        for (uint64_t i = 0; i < n; ++i) c.Add(HashBytes(std::to_string(i), 7));
        EXPECT_NEAR(static_cast<double>(c.Estimate()), static_cast<double>(n), static_cast<double>(n) * 0.08)
            << n;
    }
}

TEST(DistinctCounterTest, MergeIsTheUnion) {
    DistinctCounter a, b, all;
    for (uint64_t i = 0; i < 3000; ++i) {
        (i % 3 == 0 ? a : b).Add(MixHash(i));
        all.Add(MixHash(i));
    }
    DistinctCounter small;
    small.Add(MixHash(1));
    small.Add(MixHash(7000));
    all.Add(MixHash(7000));
    small.Merge(a);
    small.Merge(b);
    EXPECT_EQ(small.Estimate(), all.Estimate());
}

TEST(HashSetTest, SaysWhatItHasSeen) {
    HashSet set;
    for (uint64_t i = 0; i < 5000; ++i) EXPECT_TRUE(set.Insert(i == 1 ? 5000 : i)) << i;
    for (uint64_t i = 2; i < 5000; ++i) EXPECT_FALSE(set.Insert(i)) << i;
    EXPECT_EQ(set.size(), 5000u);
}

TEST_F(ProfileTest, PathsInDocumentOrderChildrenAfterParent) {
    Add(R"({"b": {"x": 1, "a": [2]}, "a": [{"k": 1}, [3]], "c": null})");
    Add(R"({"new": 1, "b": {"y": 1}})");
    EXPECT_EQ(Paths(), "b b.x b.a b.a[] b.y a a[] a[].k a[][] c new");
    EXPECT_EQ(At("a[]").types(), "object 1, array 1");
    EXPECT_EQ(At("b").depth(), 1);
    EXPECT_EQ(At("b.a[]").depth(), 3);
    EXPECT_EQ(At("b.y").documents(), 1u);
}

TEST_F(ProfileTest, CountsTypesByFrequency) {
    for (int i = 0; i < 4; ++i) Add(R"({"v": 1})");
    for (int i = 0; i < 2; ++i) Add(R"({"v": "x"})");
    Add(R"({"v": null})");
    Add(R"({})");
    const PathProfile& v = At("v");
    EXPECT_EQ(v.types(), "integer 4, text 2, null 1");
    EXPECT_EQ(v.documents(), 7u);
    EXPECT_EQ(v.nulls(), 1u);
    EXPECT_EQ(v.distinct(), 2u);
    EXPECT_EQ(profiler_.documents(), 8u);
}

TEST_F(ProfileTest, EscapesDotsInKeys) {
    Add(R"({"a.b": {"c\\d": 1, "": 2}})");
    EXPECT_EQ(Paths(), R"(a\.b a\.b.c\\d a\.b.)");
}

TEST_F(ProfileTest, WrappersAreScalarsOfTheirOwnType) {
    Add(R"({"oid": {"$oid": "5DEA38507b0b3a0012345678"}, "date": {"$date": 1575648464123},
            "day": {"$date": "2019-12-06T16:07:44Z"}, "none": {"$date": null}, "undef": {"$undefined": true},
            "long": {"$numberLong": "7"}, "int": {"$numberInt": "7"}, "dbl": {"$numberDouble": "7.0"},
            "dec": {"$numberDecimal": "1.50"}, "bin": {"$binary": {"base64": "AAEC", "subType": "00"}},
            "uuid": {"$binary": {"base64": "ASNFZ4mrze8BI0VniavN7w==", "subType": "04"}},
            "uuid2": {"$uuid": "01234567-89AB-CDEF-0123-456789abcdef"},
            "re": {"$regularExpression": {"pattern": "a", "options": "i"}}, "ts": {"$timestamp": {"t": 1, "i": 2}},
            "min": {"$minKey": 1}, "max": {"$maxKey": 1}, "sym": {"$symbol": "s"}, "code": {"$code": "f"},
            "scope": {"$code": "f", "$scope": {}}, "ref": {"$ref": "c", "$id": 1}})");
    std::string all;
    for (size_t i = 0; i < profiler_.Rows(); ++i) {
        const PathProfile& row = profiler_.Row(i);
        EXPECT_EQ(row.odd(), 0u) << row.path();
        all += row.path() + ":" + row.types() + "; ";
    }
    EXPECT_EQ(
        all,
        "oid:objectid 1; date:date 1; day:date 1; none:null 1; undef:null 1; long:integer 1; int:integer 1; "
        "dbl:decimal 1; dec:decimal 1; bin:binary 1; uuid:uuid 1; uuid2:uuid 1; re:regex 1; ts:timestamp 1; "
        "min:minkey 1; max:maxkey 1; sym:symbol 1; code:code 1; scope:code with scope 1; ref:dbref 1; ");
    EXPECT_TRUE(At("long").from_long());
    EXPECT_FALSE(At("int").from_long());
    EXPECT_EQ(At("date").smallest(), "2019-12-06T16:07:44.123Z");
    EXPECT_EQ(At("uuid").smallest(), At("uuid2").largest());
}

TEST_F(ProfileTest, WrappersWithNonsenseInsideAreOdd) {
    Add(R"({"d": {"$date": "yesterday"}, "o": {"$oid": "xyz"}, "n": {"$numberLong": "x"}, "u": {"$uuid": "x"}})");
    for (const char* path : {"d", "o", "n", "u"}) EXPECT_EQ(At(path).odd(), 1u) << path;
    EXPECT_EQ(Paths(), "d o n u");
}

TEST_F(ProfileTest, WholeNumbersWithExponentAreIntegers) {
    Add(R"({"a": 1E3, "b": 1.5e1, "c": 1.0, "d": 1.5E-1, "e": -0})");
    EXPECT_EQ(At("a").types(), "integer 1");
    EXPECT_EQ(At("b").types(), "integer 1");
    EXPECT_EQ(At("c").types(), "decimal 1");
    EXPECT_EQ(At("d").fraction_digits(), 2u);
    EXPECT_EQ(At("e").types(), "integer 1");
    EXPECT_EQ(At("b").max_integer(), 15);
}

TEST_F(ProfileTest, NumbersCompareExactly) {
    for (const char* n : {"9007199254740993", "9007199254740992.5", "9007199254740992", "-1e-7",
                          "-0.00000009", "9223372036854775808"})
        Add(std::string(R"({"n": )") + n + "}");
    EXPECT_EQ(At("n").smallest(), "-1e-7");
    EXPECT_EQ(At("n").largest(), "9223372036854775808");
    EXPECT_TRUE(At("n").beyond_int8());
    EXPECT_EQ(At("n").distinct(), 6u);
    Add(R"({"n": {"$numberDouble": "NaN"}})");
    Add(R"({"n": {"$numberDouble": "-Infinity"}})");
    EXPECT_EQ(At("n").smallest(), "-Infinity");
    EXPECT_EQ(At("n").largest(), "NaN");
    EXPECT_EQ(At("n").odd(), 0u);
}

TEST_F(ProfileTest, EqualNumbersCountOnceHoweverTheyAreWritten) {
    for (const char* n : {"1.50", "15e-1", "1.5", "0.15E1", "20", "2e1", "20.0"})
        Add(std::string(R"({"n": )") + n + "}");
    EXPECT_EQ(At("n").distinct(), 2u);
}

TEST_F(ProfileTest, LongNumbersAreShownShort) {
    Add(R"({"n": -)" + std::string(500, '7') + ".5}");
    EXPECT_EQ(At("n").smallest(), "-7." + std::string(39, '7') + "e499");
    Add(R"({"n": -)" + std::string(499, '8') + "}");
    EXPECT_EQ(At("n").largest(), "-8." + std::string(39, '8') + "e498");
}

TEST_F(ProfileTest, TextsAreCutAtACharacter) {
    std::string umlauts;
    for (int i = 0; i < 40; ++i) umlauts += "\xC3\xA4";
    Add(R"({"t": "a)" + umlauts + R"("})");
    EXPECT_EQ(At("t").longest_text(), 81u);
    EXPECT_EQ(At("t").smallest(), "a" + umlauts.substr(0, 62) + "...");
    Add(R"({"t": "b"})");
    EXPECT_EQ(At("t").largest(), "b");
}

TEST_F(ProfileTest, NotesWhatTextsLookLike) {
    const auto look = [](const std::string& text) {
        Profiler p;
        ParsedText doc;
        EXPECT_TRUE(doc.Read(R"({"t": ")" + text + R"("})"));
        p.Add(doc.tape, "");
        for (size_t i = 0; i < kLooks; ++i)
            if (p.Row(0).looks(static_cast<Look>(i)) == 1) return static_cast<Look>(i);
        return Look::Plain;
    };
    EXPECT_EQ(look("2019-12-06T16:07:44.123Z"), Look::Instant);
    EXPECT_EQ(look("2019-12-06T16:07:44+0100"), Look::Instant);
    EXPECT_EQ(look("2019-12-06T16:07:44"), Look::Plain);
    EXPECT_EQ(look("2019-12-06T16:07:44.1234567Z"), Look::Plain);
    EXPECT_EQ(look("2019-02-30T16:07:44Z"), Look::Plain);
    EXPECT_EQ(look("2019-12-06"), Look::Day);
    EXPECT_EQ(look("-12.5e3"), Look::Number);
    EXPECT_EQ(look("007"), Look::Plain);
    EXPECT_EQ(look("0"), Look::Number);
    EXPECT_EQ(look("01234567-89ab-cdef-0123-456789abcdef"), Look::Uuid);
    EXPECT_EQ(look(""), Look::Plain);
}

TEST_F(ProfileTest, SampleIsTheFirstDocumentThatHasIt) {
    Add(R"({"_id": {"$oid": "5dea38507b0b3a0012345678"}, "a": 1})");
    Add(R"({"_id": {"$numberInt": "42"}, "b": 1})");
    Add(R"({"_id": {"y": 1, "x": "z"}, "c": 1})");
    Add(R"({"_id": "own", "d": 1})", "given");
    EXPECT_EQ(At("a").sample_id(), "5dea38507b0b3a0012345678");
    EXPECT_EQ(At("b").sample_id(), "42");
    EXPECT_EQ(At("c").sample_id(), R"({"x": "z", "y": 1})");
    EXPECT_EQ(At("d").sample_id(), "given");
    EXPECT_EQ(At("_id").sample_id(), "5dea38507b0b3a0012345678");
}

TEST_F(ProfileTest, OfEqualKeysTheLastCounts) {
    Add(R"({"a": 1, "b": {"x": 1, "x": "t"}, "a": null, "\u0061": "t"})");
    EXPECT_EQ(At("a").types(), "text 1");
    EXPECT_EQ(At("b.x").types(), "text 1");
    EXPECT_EQ(At("a").documents(), 1u);
}

TEST_F(ProfileTest, RootsThatAreNoObjectsAreSetAside) {
    Add("[1]");
    Add("\"x\"");
    EXPECT_EQ(profiler_.documents(), 0u);
    EXPECT_EQ(profiler_.not_objects(), 2u);
    EXPECT_EQ(profiler_.Rows(), 0u);
    Add(R"({"$oid": "5dea38507b0b3a0012345678"})");  // the root is never a wrapper
    EXPECT_EQ(Paths(), "$oid");
}

TEST_F(ProfileTest, MapKeyedByIdBecomesOnePath) {
    unsigned key = 0;
    size_t with = 0;
    for (int i = 0; i < 400; ++i) {
        std::string map;
        for (int k = 0; k < i % 3; ++k, ++key) {
            map += (k ? ", \"" : "\"") + Hex(key) + R"(": {"tier": ")" + (key % 2 ? "Gold" : "Iron") +
                   R"(", "id": ")" + Hex(key) + R"(", "perks": ["p)" + std::to_string(key % 5) + R"("]})";
        }
        with += i % 3 != 0;
        Add(R"({"n": 1, "m": {)" + map + "}}");
    }
    EXPECT_EQ(Paths(), "n m m.* m.*.tier m.*.id m.*.perks m.*.perks[]");
    EXPECT_EQ(At("m").documents(), 400u);
    EXPECT_EQ(At("m.*").documents(), with);
    EXPECT_EQ(At("m.*").count(FieldType::Object), key);
    EXPECT_EQ(At("m.*.tier").documents(), with);
    EXPECT_EQ(At("m.*.tier").distinct(), 2u);
    EXPECT_NEAR(static_cast<double>(At("m.*.id").distinct()), key, key * 0.08);
    EXPECT_EQ(At("m.*.perks[]").largest(), "p4");
    EXPECT_EQ(At("m.*").step(), Step::Any);
}

TEST_F(ProfileTest, MapsInMapsAndInArrays) {
    for (unsigned i = 0; i < 300; ++i)
        Add(R"({"a": [{"m": {")" + Hex(i) + R"(": {")" + Hex(i * 7) + R"(": 1, ")" + Hex(i * 7 + 1) +
            R"(": {"z": 2}}}}]})");
    EXPECT_EQ(Paths(), "a a[] a[].m a[].m.* a[].m.*.* a[].m.*.*.z");
    EXPECT_EQ(At("a[].m.*.*").types(), "integer 300, object 300");
    EXPECT_EQ(At("a[].m.*.*").documents(), 300u);
    EXPECT_EQ(At("a[].m.*.*.z").documents(), 300u);
}

TEST_F(ProfileTest, AWideRecordIsNoMap) {
    std::string record;
    for (int i = 0; i < 150; ++i) record += (i ? ", \"f" : "\"f") + std::to_string(i) + "\": 1";
    for (int i = 0; i < 5; ++i) Add("{\"r\": {" + record + "}, " + record + "}");
    EXPECT_EQ(profiler_.Rows(), 301u);
}

TEST_F(ProfileTest, OneObjectWithVeryManyKeysIsAMap) {
    std::string members;
    for (int i = 0; i < 100000; ++i)
        members += (i ? ", \"k" : "\"k") + std::to_string(i) + "\": " + std::to_string(i);
    Add("{\"m\": {" + members + "}}");
    EXPECT_EQ(Paths(), "m m.*");
    EXPECT_EQ(At("m.*").types(), "integer 100000");
    EXPECT_EQ(At("m.*").documents(), 1u);
    EXPECT_EQ(At("m.*").largest(), "99999");
}

TEST_F(ProfileTest, WhatIsLeftOutIsTold) {
    std::string members, deep = "1";
    for (size_t i = 0; i < Profiler::kMaxRootPaths + 10; ++i)
        members += "\"k" + std::to_string(i) + "\": 1, ";
    for (int i = 0; i < 100; ++i) deep = i % 2 ? "[" + deep + "]" : "{\"d\": " + deep + "}";
    Add("{" + members + "\"" + std::string(300, 'x') + "\": 1}");
    const PathProfile& rest = profiler_.Row(profiler_.Rows() - 1);
    EXPECT_EQ(rest.step(), Step::Rest);
    EXPECT_EQ(rest.path(), "(left out)");
    EXPECT_EQ(rest.types(), "too many paths 10, too long a name 1");
    EXPECT_EQ(rest.documents(), 1u);
    EXPECT_EQ(profiler_.Rows(), Profiler::kMaxRootPaths + 1);

    Profiler other;
    ParsedText doc;
    ASSERT_TRUE(doc.Read("{\"a\": " + deep + "}"));
    other.Add(doc.tape, "");
    EXPECT_EQ(other.Rows(), static_cast<size_t>(Profiler::kMaxDepth) + 1);
    EXPECT_EQ(other.Row(other.Rows() - 1).types(), "too deep 1");
}

TEST_F(ProfileTest, PathsStayBoundedWhateverComes) {
    for (unsigned i = 0; i < 3000; ++i) {
        std::string doc = "{";
        for (unsigned k = 0; k < 8; ++k) {
            const std::string root = "r" + std::to_string((i + k) % 300);
            doc += (k ? ", \"" : "\"") + root + "\": {\"s" + std::to_string(i * k % 90) + "\": {\"t" +
                   std::to_string(i % 70) + "\": [" + std::to_string(i) + "]}}";
        }
        Add(doc + "}");
    }
    EXPECT_LE(profiler_.Rows(), 300 + Profiler::kMaxPaths + 1);
    EXPECT_EQ(At("r0").count(FieldType::Object), At("r0").documents());
}

TEST_F(ProfileTest, UniquenessIsExact) {
    for (int i = 0; i < 3000; ++i) {
        const std::string n = std::to_string(i);
        Add(R"({"a": ")" + n + R"(", "b": )" + std::to_string(i == 2999 ? 0 : i) + R"(, "c": ")" + n + "\"" +
            (i == 1500 ? "" : R"(, "d": )" + n) + R"(, "e": )" + (i == 7 ? "null" : n) + "}");
    }
    EXPECT_EQ(At("a").uniqueness(), Uniqueness::Yes);
    EXPECT_EQ(At("a").distinct(), 3000u);
    EXPECT_EQ(At("b").uniqueness(), Uniqueness::No);
    EXPECT_EQ(At("c").uniqueness(), Uniqueness::Yes);
    EXPECT_EQ(At("d").uniqueness(), Uniqueness::No);
    EXPECT_EQ(At("e").uniqueness(), Uniqueness::No);
    Add(R"({"a": "x"})");
    EXPECT_EQ(At("c").uniqueness(), Uniqueness::No);  // the last document has none
    EXPECT_EQ(At("a").uniqueness(), Uniqueness::Yes);
}

TEST_F(ProfileTest, TooManyCandidatesGiveUpTheUnlikelyFirst) {
    const uint64_t documents = Profiler::kAllKeyHashes / 3 + 10;
    Tape tape;
    char digits[24], key_a[] = "a", key_id[] = "id", key_b[] = "b";
    for (uint64_t i = 0; i < documents; ++i) {
        tape.Clear();
        const uint32_t len =
            static_cast<uint32_t>(snprintf(digits, sizeof(digits), "%u", static_cast<unsigned>(i)));
        tape.Push(Type::Object, nullptr, 0);
        for (char* key : {key_a, key_id, key_b}) {
            tape.Push(Type::Key, key, static_cast<uint32_t>(strlen(key)));
            tape.Push(Type::Number, digits, len);
        }
        tape[0].count = 3;
        tape[0].len = tape.size();
        profiler_.Add(tape, "x");
    }
    EXPECT_EQ(At("a").uniqueness(), Uniqueness::Yes);
    EXPECT_EQ(At("id").uniqueness(), Uniqueness::Yes);
    EXPECT_EQ(At("b").uniqueness(), Uniqueness::Unknown);
    EXPECT_NEAR(static_cast<double>(At("b").distinct()), static_cast<double>(documents), documents * 0.08);
}

}  // namespace
}  // namespace vm
