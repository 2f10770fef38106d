#include "core/problem.h"

#include <gtest/gtest.h>

#include <cstring>

namespace vm {
namespace {

TEST(ProblemTest, EveryReasonHasItsRow) {
    for (int r = 0; r <= static_cast<int>(Reason::BadRule); ++r) {
        const ReasonInfo& info = Info(static_cast<Reason>(r));
        ASSERT_NE(info.name, nullptr) << r;
        EXPECT_EQ(std::strlen(info.sqlstate), 5u) << r;
    }
}

// The enumeration and the table are two lists: a row out of place would show here.
TEST(ProblemTest, SqlstatesAreTheServersOwn) {
    EXPECT_STREQ(Info(Reason::None).sqlstate, "00000");
    EXPECT_STREQ(Info(Reason::NotJson).sqlstate, "22P02");
    EXPECT_STREQ(Info(Reason::TooDeep).sqlstate, "54001");
    EXPECT_STREQ(Info(Reason::TooLarge).sqlstate, "54000");
    EXPECT_STREQ(Info(Reason::Cancelled).sqlstate, "57014");
    EXPECT_STREQ(Info(Reason::OutOfMemory).sqlstate, "53200");
    EXPECT_STREQ(Info(Reason::InvalidText).sqlstate, "22P02");
    EXPECT_STREQ(Info(Reason::NumberRange).sqlstate, "22003");
    EXPECT_STREQ(Info(Reason::InvalidTime).sqlstate, "22007");
    EXPECT_STREQ(Info(Reason::TimeRange).sqlstate, "22008");
    EXPECT_STREQ(Info(Reason::InvalidObjectId).sqlstate, "22P02");
    EXPECT_STREQ(Info(Reason::NotAnArray).sqlstate, "22023");
    EXPECT_STREQ(Info(Reason::NotNull).sqlstate, "23502");
    EXPECT_STREQ(Info(Reason::BadRule).sqlstate, "22023");
}

TEST(CopyCutTest, CutsAtACharacterBoundary) {
    char to[10];
    CopyCut(to, "123456789");
    EXPECT_STREQ(to, "123456789");
    CopyCut(to, "1234567890");
    EXPECT_STREQ(to, "123456…");
    CopyCut(to, "12345é7890");  // é would stand on both sides of the cut
    EXPECT_STREQ(to, "12345…");
    CopyCut(to, "123😀567890");
    EXPECT_STREQ(to, "123…");
    CopyCut(to, "");
    EXPECT_STREQ(to, "");
}

}  // namespace
}  // namespace vm
