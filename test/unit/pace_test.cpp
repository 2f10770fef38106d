#include "core/pace.h"

#include <gtest/gtest.h>

namespace vm {
namespace {

TEST(PaceTest, FollowsTheTimeBatchesTake) {
    Pace pace(40000, 10000);
    EXPECT_EQ(pace.batch(), 500);
    for (int i = 0; i < 20; i++) pace.Took(pace.batch(), pace.batch() * 20);  // 20 µs a row
    EXPECT_NEAR(pace.batch(), 2000, 20);
    for (int i = 0; i < 40; i++) pace.Took(pace.batch(), pace.batch() * 400);  // slower by far
    EXPECT_NEAR(pace.batch(), 100, 5);
}

TEST(PaceTest, ChangesByTwoAtMost) {
    Pace pace(40000, 10000);
    pace.Took(500, 1);
    EXPECT_EQ(pace.batch(), 1000);
    Pace slow(40000, 10000);
    slow.Took(500, 60 * 1000000);
    EXPECT_EQ(slow.batch(), 250);
}

TEST(PaceTest, StaysWithinItsLimits) {
    Pace pace(40000, 1200);
    for (int i = 0; i < 10; i++) pace.Took(pace.batch(), 1);
    EXPECT_EQ(pace.batch(), 1200);
    for (int i = 0; i < 30; i++) pace.Took(pace.batch(), INT64_MAX / 2);
    EXPECT_EQ(pace.batch(), 1);
    EXPECT_EQ(Pace(1, 7).batch(), 7);
    EXPECT_EQ(Pace(1, 0).batch(), 1);
}

TEST(PaceTest, ABatchWithoutRowsSaysNothing) {
    Pace pace(40000, 10000);
    pace.Took(0, 1000000);
    EXPECT_EQ(pace.batch(), 500);
}

TEST(PaceTest, YieldsDownToOneRow) {
    Pace pace(40000, 10000);
    EXPECT_FALSE(pace.Yield());
    EXPECT_EQ(pace.batch(), 62);
    EXPECT_FALSE(pace.Yield());
    EXPECT_FALSE(pace.Yield());
    EXPECT_EQ(pace.batch(), 1);
    EXPECT_TRUE(pace.Yield());
    for (int i = 0; i < 20; i++) pace.Took(pace.batch(), pace.batch() * 20);
    EXPECT_GT(pace.batch(), 500);  // and up again
}

TEST(RateLimitTest, HoldsBackByWhatWasDone) {
    RateLimit none;
    EXPECT_FALSE(none.limited());
    none.Done(1e9, 5);
    EXPECT_EQ(none.next(), 0);
    RateLimit limit(1000);
    limit.Done(100, 1000000);
    EXPECT_EQ(limit.next(), 1100000);
    limit.Done(100, 1050000);  // began before it was due: the debt adds up
    EXPECT_EQ(limit.next(), 1200000);
    limit.Done(100, 9000000);  // what was not used is not saved up
    EXPECT_EQ(limit.next(), 9100000);
}

TEST(RateLimitTest, BatchesAreAQuarterOfASecond) {
    EXPECT_EQ(RateLimit(1000).most(), 250);
    EXPECT_EQ(RateLimit(2).most(), 1);
    EXPECT_GT(RateLimit().most(), 1e15);
}

TEST(LagMeterTest, IsTheAgeOfTheOldestPositionNotReached) {
    LagMeter meter;
    EXPECT_EQ(meter.Lag(0, 100), 0);
    meter.Now(10, 1000, 0);
    meter.Now(20, 2000, 0);
    meter.Now(30, 3000, 0);
    EXPECT_EQ(meter.Lag(5, 4000), 3000);
    EXPECT_EQ(meter.Lag(10, 4000), 2000);
    EXPECT_EQ(meter.Lag(29, 4000), 1000);
    EXPECT_EQ(meter.Lag(30, 4000), 0);
    EXPECT_EQ(meter.Lag(30, 9000), 0);
}

// A replica whose replay is paused answers all the same: its position stands still and its lag grows.
TEST(LagMeterTest, GrowsWhileThePositionStands) {
    LagMeter meter;
    meter.Now(10, 1000, 0);
    for (int i = 2; i < 500; i++) {
        meter.Now(10 + i, i * 1000, 0);
        EXPECT_LE(meter.Lag(9, i * 1000), i * 1000 - 1000);
    }
    EXPECT_GE(meter.Lag(9, 500000), 60000);
}

TEST(LagMeterTest, ForgetsWhatIsTooCloseTogether) {
    LagMeter meter;
    meter.Now(10, 1000, 500);
    meter.Now(11, 1200, 500);
    EXPECT_EQ(meter.Lag(10, 2000), 0);
}

}  // namespace
}  // namespace vm
