// The ways to move, against everything that can happen meanwhile.
#include "model.h"

#include <gtest/gtest.h>

#include <iostream>

namespace vm_model {
namespace {

using Trace = std::vector<std::string>;
using Statements = std::vector<uint8_t>;  // of each application

// How it claims, lock on the child, mark, guard, losers recorded.
constexpr Mover kArticle = {Claim::kWait, Lock::kRowExclusive, false, false, false};
constexpr Mover kClaim = {Claim::kSkip, Lock::kRowExclusive, true, true, true};
constexpr Mover kLock = {Claim::kWait, Lock::kExclusive, false, true, true};

std::string Lines(const Trace& trace) {
    std::string lines;
    for (const std::string& step : trace) lines += "\n    " + step;
    return lines;
}

World Make(const Mover& mover, int movers, uint8_t keys, uint8_t feed, const Statements& applications) {
    static const char* const kApplications[] = {"application", "application B"};
    static const char* const kMovers[] = {"mover", "mover B"};
    World world = {mover, {{"feed", Role::kFeed, feed}}, keys, false};
    for (size_t i = 0; i < applications.size(); i++)
        world.players.push_back({kApplications[i], Role::kApplication, applications[i]});
    for (int i = 0; i < movers; i++) world.players.push_back({kMovers[i], Role::kMover, 0});
    return world;
}

void Print(const World& world, const Result& result) {
    std::cout << world.players.size() - 1 << " beside the feed, " << int{world.keys}
              << " key(s): " << result.states << " states, " << result.quiet << " of them quiet, "
              << result.deadlocks << " deadlocks\n";
}

// Visits everything; every invariant holds.
Result Holds(const World& world, size_t at_least) {
    Result result = Explore(world);
    Print(world, result);
    EXPECT_GT(result.states, at_least);
    EXPECT_GT(result.quiet, 10u);
    for (const auto& [name, trace] : result.traces) ADD_FAILURE() << name << Lines(trace);
    return result;
}

// The shortest way to break the invariant.
Trace Broken(const Result& result, std::string_view name) {
    auto found = result.traces.find(name);
    if (found == result.traces.end()) {
        ADD_FAILURE() << "not found: " << name;
        return {};
    }
    std::cout << name << ":" << Lines(found->second) << "\n";
    return found->second;
}

using Names = std::vector<std::string_view>;  // in alphabetical order

Names AllBroken(const Result& result) {
    Names names;
    for (const auto& [name, trace] : result.traces) names.push_back(name);
    return names;
}

// Writers lose nothing to each other: whatever is found below is the move's doing.
TEST(MoveModelTest, WithoutAMoverEverythingHolds) {
    Holds(Make(kClaim, 0, 1, 2, {1, 1}), 5000);
    Holds(Make(kClaim, 0, 2, 2, {2}), 10000);
}

TEST(MoveModelTest, ClaimHolds) {
    Result result = Holds(Make(kClaim, 1, 1, 2, {2}), 20000);
    for (const char* step : {kRetries, kBusy, kKeepsParent, kFeedAnomaly})
        EXPECT_EQ(result.steps.count(step), 1u) << step;
}

TEST(MoveModelTest, ClaimHoldsForTwoApplications) {
    Holds(Make(kClaim, 1, 1, 2, {1, 1}), 100000);
}

TEST(MoveModelTest, ClaimHoldsForTwoKeys) {
    Holds(Make(kClaim, 1, 2, 1, {2}), 70000);
}

TEST(MoveModelTest, TwoClaimsHold) {
    Holds(Make(kClaim, 2, 1, 2, {2}), 150000);
}

TEST(MoveModelTest, TwoClaimsHoldForTwoKeys) {
    Holds(Make(kClaim, 2, 2, 1, {1}), 100000);
}

TEST(MoveModelTest, LockHolds) {
    for (const World& world : {Make(kLock, 1, 1, 2, {1, 1}), Make(kLock, 1, 2, 2, {2}),
                               Make(kLock, 2, 1, 2, {1, 1}), Make(kLock, 2, 2, 2, {1})}) {
        Result result = Holds(world, 7000);
        EXPECT_EQ(result.deadlocks, 0u);
        EXPECT_EQ(result.steps.count(kRetries), 0u) << "nobody has to retry";
        EXPECT_EQ(result.steps.count(kBusy), 0u) << "nothing is left for the next batch";
    }
}

TEST(MoveModelTest, TheArticlesMoveLosesWrites) {
    Result result = Explore(Make(kArticle, 1, 1, 2, {2}));
    EXPECT_EQ(AllBroken(result), (Names{kDeleteLost, kSelectLost, kUpdateLost, kOlderReplacesNewer}));

    // A snapshot from before the commit finds the row deleted, and does not see it in the parent.
    for (auto [name, statement] : {std::pair(kUpdateLost, "UPDATE"), std::pair(kDeleteLost, "DELETE"),
                                   std::pair(kSelectLost, "SELECT FOR UPDATE")}) {
        const std::string application = std::string("application, ") + statement;
        EXPECT_EQ(
            Broken(result, name),
            (Trace{application + ": takes its snapshot", "mover, move: takes its snapshot",
                   "mover, move: claims the child's row with 1", "mover, move: writes into the parent 1",
                   "mover, move: commits", application + ": finds the row deleted: 0 rows"}));
    }
    EXPECT_EQ(Broken(result, kOlderReplacesNewer),
              (Trace{"application, INSERT ON CONFLICT into parent: writes into the parent 2",
                     "application, INSERT ON CONFLICT into parent: commits",
                     "mover, move: takes its snapshot", "mover, move: claims the child's row with 1",
                     "mover, move: writes into the parent 1", "mover, move: commits"}));
}

// Each part of a move is needed: without it the model finds what it is there for.
TEST(MoveModelTest, EveryPartIsNeeded) {
    struct {
        const char* what;
        Mover mover;
        Names broken;
    } const kChanged[] = {
        {"claim without the mark",
         {Claim::kSkip, Lock::kRowExclusive, false, true, true},
         {kDeleteLost, kSelectLost, kUpdateLost}},
        {"claim without the guard",
         {Claim::kSkip, Lock::kRowExclusive, true, false, true},
         {kOlderReplacesNewer}},
        {"losers not recorded", {Claim::kSkip, Lock::kRowExclusive, true, true, false}, {kLost}},
        {"a claim that waits and does not check again",
         {Claim::kWaitStale, Lock::kRowExclusive, true, true, true},
         {kLost, kTwiceOrGone, kComesBack}},
        {"a claim that leaves the row",
         {Claim::kCopy, Lock::kRowExclusive, true, true, true},
         {kNotMoved, kTwiceOrGone, kComesBack}},
        {"no lock",
         {Claim::kWait, Lock::kRowExclusive, false, true, true},
         {kDeleteLost, kSelectLost, kUpdateLost}},
        {"a lock that lets SELECT FOR UPDATE in",
         {Claim::kWait, Lock::kShareRowExclusive, false, true, true},
         {kSelectLost}},
        {"lock without the guard",
         {Claim::kWait, Lock::kExclusive, false, false, true},
         {kOlderReplacesNewer}},
        {"lock without recording losers", {Claim::kWait, Lock::kExclusive, false, true, false}, {kLost}},
    };
    for (const auto& changed : kChanged) {
        std::cout << "-- " << changed.what << "\n";
        Result result = Explore(Make(changed.mover, 1, 1, 2, {1}));
        EXPECT_EQ(AllBroken(result), changed.broken) << changed.what;
        for (std::string_view name : changed.broken) Broken(result, name);
    }
}

// A known hole: EXECUTE takes its snapshot before the statement's locks.
TEST(MoveModelTest, LockDoesNotHelpPreparedSelectForUpdate) {
    World world = Make(kLock, 1, 1, 2, {1});
    world.prepared = true;
    EXPECT_EQ(AllBroken(Explore(world)), Names{kSelectLost});
    world.mover = kClaim;
    Holds(world, 4000);
}

}  // namespace
}  // namespace vm_model
