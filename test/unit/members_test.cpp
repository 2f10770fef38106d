#include "core/members.h"

#include "helpers.h"

namespace vm {
namespace {

using vm_test::Doc;

// The members in jsonb's order, as key=value.
std::string Sorted(std::string_view text) {
    const Doc doc(text);
    std::vector<SortedMember> members = {{7, 7}};  // another object's, already there
    const size_t n = AppendSortedMembers(doc.tape, 0, &members);
    EXPECT_EQ(members.size(), n + 1);
    EXPECT_EQ(members[0].key, 7u);
    std::string s;
    for (size_t i = 1; i < members.size(); ++i) {
        const Node& key = doc.tape[members[i].key];
        s += (i > 1 ? " " : "") + std::string(key.text, key.len) + "=" +
             vm_test::Json(doc.tape, members[i].key + 1);
    }
    return s;
}

TEST(MembersTest, ByLengthThenBytes) {
    EXPECT_EQ(Sorted("{}"), "");
    EXPECT_EQ(Sorted(R"({"bb":1,"a":2,"ab":3,"":4,"c":5})"), "=4 a=2 c=5 ab=3 bb=1");
    EXPECT_EQ(Sorted(R"({"abcdz":1,"abcdy":2,"abcd":3,"abce":4})"), "abcd=3 abce=4 abcdy=2 abcdz=1");
    EXPECT_EQ(Sorted("{\"\xC3\xA9\":1,\"zz\":2,\"\x7F\x7F\":3}"), "zz=2 \x7F\x7F=3 \xC3\xA9=1")
        << "bytes are unsigned";
}

TEST(MembersTest, OfEqualKeysTheLastStays) {
    EXPECT_EQ(Sorted(R"({"a":1,"b":2,"a":3})"), "a=3 b=2");
    EXPECT_EQ(Sorted(R"({"a":1,"\u0061":null})"), "a=null");
    EXPECT_EQ(Sorted(R"({"abcdef":1,"abcdef":2,"abcdef":3,"abcdeg":4})"), "abcdef=3 abcdeg=4");
}

// Many members take another sort.
TEST(MembersTest, ManyMembersSortAlike) {
    for (int n : {23, 24, 25, 26, 100, 5000}) {
        std::string text = "{", expected;
        for (int round = 0; round < 2; ++round)
            for (int i = 0; i < n; ++i) {
                char member[40];
                std::snprintf(member, sizeof(member), "%s\"key%05d\":%d", text.size() > 1 ? "," : "",
                              i * 7919 % n, i * 7919 % n * 10 + round);
                text += member;
            }
        for (int i = 0; i < n; ++i) {
            char member[40];
            std::snprintf(member, sizeof(member), "%skey%05d=%d", i ? " " : "", i, i * 10 + 1);
            expected += member;
        }
        EXPECT_EQ(Sorted(text + "}"), expected) << n;
    }
}

// Whether the short way sorts the members; if it does, it does as the long one.
bool Small(const std::string& text) {
    const Doc doc(text);
    std::vector<SortedMember> members;
    AppendSortedMembers(doc.tape, 0, &members);
    std::vector<uint32_t> keys(doc.tape[0].count);
    if (!SortSmallObject(doc.tape, 0, keys.data())) return false;
    EXPECT_EQ(keys.size(), members.size()) << text;
    for (size_t i = 0; i < members.size(); ++i) EXPECT_EQ(keys[i], members[i].key) << text;
    return true;
}

TEST(MembersTest, TheShortWayIsTheSameOrNone) {
    EXPECT_TRUE(Small("{}"));
    EXPECT_TRUE(
        Small(R"({"bb":[1,{"x":2}],"a":2,"ab":3,"":4,"c":5,"abc":{},"abcdex":6,"abcdfy":7,"abcde":8})"));
    EXPECT_TRUE(Small("{\"\xC3\xA9\":1,\"zz\":2,\"\x7F\x7F\":3,\"\xC3\":4}"));
    EXPECT_FALSE(Small(R"({"abcdez":1,"abcdey":2})")) << "the sixth byte decides";
    EXPECT_FALSE(Small(R"({"b":1,"a":2,"b":3})")) << "equal keys";
    EXPECT_FALSE(Small(R"({"abcde":1,"x":2,"abcde":3})"));
    const std::string longest(255, 'k');
    EXPECT_TRUE(Small("{\"" + longest + "\":1,\"a\":2}"));
    EXPECT_FALSE(Small("{\"" + longest + "k\":1,\"a\":2}"));
    // A value between the keys that takes more places than the order has room for.
    EXPECT_TRUE(Small("{\"b\":[" + vm_test::Repeat("1,", 65530) + "1],\"a\":2}"));
    EXPECT_FALSE(Small("{\"b\":[" + vm_test::Repeat("1,", 65531) + "1],\"a\":2}"));
}

}  // namespace
}  // namespace vm
