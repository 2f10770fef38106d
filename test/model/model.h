// A model of the move from child to parent: row versions as the server keeps them, and a feed, applications
// and movers whose steps interleave in every order. Small enough to visit every state. It does not run our
// code; it shows whether the protocol that the code follows can lose anything.
//
// A document is its watermark: one small number, unique, and higher the later the write. Numbers that nobody
// uses any more are given out again.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vm_model {

using Doc = uint8_t;
using Docs = uint16_t;  // a set of them
constexpr int kMaxDocs = 16;
inline Docs Bit(Doc doc) {
    return static_cast<Docs>(1u << doc);
}

enum class Table : uint8_t { kParent, kChild };  // in the order in which statements through the parent scan
enum class End : uint8_t { kNone, kLocked, kUpdated, kDeleted, kMoved };  // kMoved: deleted with the mark
enum class Lock : uint8_t { kNone, kRowShare, kRowExclusive, kShareRowExclusive, kExclusive };
enum class Role : uint8_t { kFeed, kApplication, kMover };
enum class Op : uint8_t {
    kIdle,  // no transaction is open
    kUpdate,
    kDelete,
    kSelectForUpdate,
    kExecute,  // of a prepared SELECT FOR UPDATE, before it has its locks
    kUpsert,   // into the parent
    kFeedUpsert,
    kFeedUpdate,
    kMove
};

constexpr int kMaxVersions = 12;
constexpr int kMaxActors = 5;
constexpr int kMaxKeys = 2;
constexpr uint8_t kNobody = 0;
constexpr uint8_t kCommitted = 255;  // else an actor's number + 1: its transaction is open

struct Version {
    Doc doc;  // 0: no version
    Table table;
    uint8_t key;
    uint8_t maker;  // xmin
    uint8_t ender;  // xmax
    End end;
    uint8_t next;  // the version that replaced it

    bool Dead() const { return ender == kCommitted; }
    bool Visible() const { return doc != 0 && maker == kCommitted && !Dead(); }
};

struct Actor {
    Op op;
    uint8_t left;  // statements it may still send
    uint8_t key;
    std::array<uint8_t, kMaxKeys> seen;  // versions that its snapshot saw and it has not come to, + 1
    uint8_t at;                          // the next of them
    std::array<Doc, kMaxKeys> hand;      // by key: what the feed sends, or the mover has claimed
    uint8_t rows;                        // that the statement has written
    uint8_t existed;                     // its key did in the snapshot, and nobody has deleted it since
    Docs anomalies;                      // recorded when it commits
};

struct State {
    std::array<Version, kMaxVersions> version;
    std::array<Actor, kMaxActors> actor;
    Docs owed;  // acknowledged, and neither replaced by what is newer nor deleted by an application
    Docs anomalies;
};

enum class Claim : uint8_t {
    kSkip,       // without waiting; what is not as it was read stays for the next batch
    kWait,       // waits, and takes the newest version
    kWaitStale,  // waits, and takes what it had read, whatever has become of it
    kCopy,       // leaves the row in the child
};

struct Mover {
    Claim claim;
    Lock lock;    // on the child
    bool mark;    // "moved to another partition" on what it deletes
    bool guard;   // only what is newer replaces a row
    bool record;  // what loses becomes an anomaly
};

struct Player {
    const char* name;
    Role role;
    uint8_t statements;  // that it may send; a mover goes on as long as the child has rows
};

struct World {
    Mover mover;
    std::vector<Player> players;
    uint8_t keys;
    bool prepared;  // applications EXECUTE their SELECT FOR UPDATE: snapshot first, locks later
};

struct Step {
    uint8_t actor;
    Op op;
    const char* text;
    Doc doc;
};

struct Successor {
    State state;
    Step step;
    const char* violation;  // of an invariant by this step, or NULL
};

// The invariants, named by what breaks them.
inline constexpr char kLost[] = "an acknowledged write is lost";
inline constexpr char kComesBack[] = "what was replaced or deleted comes back";
inline constexpr char kOlderReplacesNewer[] = "what is older replaces what is newer";
inline constexpr char kTwiceOrGone[] = "the move makes a key appear twice, or not at all";
inline constexpr char kUpdateLost[] = "an UPDATE gets 0 rows of a key that exists";
inline constexpr char kDeleteLost[] = "a DELETE gets 0 rows of a key that exists";
inline constexpr char kSelectLost[] = "a SELECT FOR UPDATE gets 0 rows of a key that exists";
inline constexpr char kNotMoved[] = "a mover left alone does not empty the child";
inline constexpr char kDeadlock[] = "a deadlock without a mover";
inline constexpr char kNotUnique[] = "a table holds a key twice";  // of the model itself

// Steps that tests look for.
inline constexpr char kRollsBack[] =
    "rolls back";  // any open transaction can: a crash, a timeout, a change of mind
inline constexpr char kRetries[] = "gets 40001: moved to another partition";
inline constexpr char kBusy[] = "finds the row busy";
inline constexpr char kKeepsParent[] = "keeps the parent's row, which beats";
inline constexpr char kFeedAnomaly[] = "is older than the child's row: anomaly";

// Every key is in the child; its document is acknowledged.
State InitialState(const World& world);

// All that can happen next. Whoever has to wait can only roll back.
std::vector<Successor> Successors(const World& world, const State& state);

// Whether one batch empties the child while everybody rests.
bool MovesAll(const World& world, State s);

// The invariant that does not hold in this state, or NULL.
const char* Violated(const World& world, const State& state);

struct Result {
    size_t states;
    size_t quiet;      // no transaction is open
    size_t deadlocks;  // every open transaction waits for another; a mover's lock_timeout ends it
    std::set<std::string_view> steps;
    std::map<std::string_view, std::vector<std::string>> traces;  // the shortest to each violated invariant
};

// Visits every state, but goes no further where an invariant does not hold.
Result Explore(const World& world);

}  // namespace vm_model
