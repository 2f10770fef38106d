// What each actor can do next, and what the server makes of it.
#include "state.h"

#include <algorithm>
#include <stdexcept>

namespace vm_model {
namespace {

bool Conflict(Lock a, Lock b) {
    if (std::max(a, b) == Lock::kExclusive) return std::min(a, b) >= Lock::kRowShare;
    return std::max(a, b) == Lock::kShareRowExclusive && std::min(a, b) >= Lock::kRowExclusive;
}

// One actor's next step, done in a copy of the state. A function that returns false has to wait.
class Turn {
  public:
    Turn(const World& world, const State& state, int who)
        : next{state, {static_cast<uint8_t>(who), state.actor[who].op, "", 0}, nullptr},
          world_(world),
          s_(next.state),
          me_(next.state.actor[who]),
          id_(static_cast<uint8_t>(who + 1)),
          role_(world.players[who].role) {}
    Turn(const Turn&) = delete;

    Successor next;

    bool Begin(Op op, int key, Doc doc);
    bool GoOn();
    bool RollBack();

  private:
    enum class Found { kFree, kLocked, kDeleted, kMoved };
    enum class Upserted { kWritten, kKept, kLocked };

    bool Say(const char* text, Doc doc = 0) {
        next.step.text = text;
        next.step.doc = doc;
        return true;
    }

    // On the child.
    Lock LockOf(Op op) const {
        switch (op) {
            case Op::kIdle:
            case Op::kExecute:
            case Op::kUpsert: return Lock::kNone;
            case Op::kSelectForUpdate: return Lock::kRowShare;
            case Op::kMove: return world_.mover.lock;
            default: return Lock::kRowExclusive;
        }
    }

    bool CanLock(Op op) const {
        return std::none_of(s_.actor.begin(), s_.actor.end(),
                            [&](const Actor& other) { return Conflict(LockOf(op), LockOf(other.op)); });
    }

    bool AtEnd() const { return me_.at == kMaxKeys || me_.seen[me_.at] == 0; }
    void TakeSnapshot(Op op, int key);
    Found Newest(int* at) const;
    void Stop(int at, End end);
    int Add(Table table, int key, Doc doc);
    void Replace(int at, Doc doc);
    Upserted Upsert(Table table, int key, Doc doc, bool guard, bool record);
    bool FeedRow();
    bool WriteRow();
    bool Change(int at);
    bool ClaimRow();
    bool MoveOn();
    bool Commit();
    void Close(bool acknowledged);

    const World& world_;
    State& s_;
    Actor& me_;
    const uint8_t id_;
    const Role role_;
};

void Turn::TakeSnapshot(Op op, int key) {
    for (Table table : kTables) {
        if (table == Table::kParent && (op == Op::kMove || op == Op::kFeedUpdate)) continue;
        for (int i = 0; i < kMaxVersions; i++) {
            const Version& v = s_.version[i];
            if (v.Visible() && v.table == table && (op == Op::kMove || v.key == key))
                me_.seen[me_.at++] = static_cast<uint8_t>(i + 1);
        }
    }
    me_.existed = me_.at > 0;
    me_.at = 0;
}

// What the server does with a row of the snapshot at READ COMMITTED: follows it to the newest version.
Turn::Found Turn::Newest(int* at) const {
    for (;;) {
        const Version& v = s_.version[*at];
        if (v.ender == kNobody) return Found::kFree;
        if (v.ender != kCommitted) return Found::kLocked;
        if (v.end != End::kUpdated) return v.end == End::kMoved ? Found::kMoved : Found::kDeleted;
        *at = v.next;
    }
}

void Turn::Stop(int at, End end) {
    s_.version[at].ender = id_;
    s_.version[at].end = end;
}

int Turn::Add(Table table, int key, Doc doc) {
    for (int i = 0; i < kMaxVersions; i++) {
        if (s_.version[i].doc != 0) continue;
        s_.version[i] = {doc, table, static_cast<uint8_t>(key), id_, kNobody, End::kNone, 0};
        return i;
    }
    throw std::length_error("State has no room for so many versions");
}

void Turn::Replace(int at, Doc doc) {
    s_.version[at].next = static_cast<uint8_t>(Add(s_.version[at].table, s_.version[at].key, doc));
    Stop(at, End::kUpdated);
}

// INSERT … ON CONFLICT DO UPDATE. The unique index knows no snapshot: an open transaction is waited for.
Turn::Upserted Turn::Upsert(Table table, int key, Doc doc, bool guard, bool record) {
    int row = -1;
    for (int i = 0; i < kMaxVersions; i++) {
        const Version& v = s_.version[i];
        if (v.doc == 0 || v.table != table || v.key != key || v.Dead()) continue;
        if (v.maker != kCommitted || v.ender != kNobody) return Upserted::kLocked;
        row = i;
    }
    if (row < 0) {
        Add(table, key, doc);
        return Upserted::kWritten;
    }
    if (guard && doc <= s_.version[row].doc) {
        if (record && doc != s_.version[row].doc) me_.anomalies |= Bit(doc);
        Stop(row, End::kLocked);
        return Upserted::kKept;
    }
    Replace(row, doc);
    return Upserted::kWritten;
}

// Locks come before the snapshot; both are one step, because nobody can do anything between them.
bool Turn::Begin(Op op, int key, Doc doc) {
    if (!CanLock(op)) return false;
    me_.op = next.step.op = op;
    me_.key = static_cast<uint8_t>(key);
    me_.hand[key] = doc;
    if (op == Op::kFeedUpsert) return Say("is about to send", doc);
    if (op == Op::kUpsert) {
        doc = Now(world_, s_);
        return Upsert(Table::kParent, key, doc, false, false) != Upserted::kLocked &&
               Say("writes into the parent", doc);
    }
    TakeSnapshot(op, key);
    // Without a row the statement changes nothing; a feed's is an upsert then.
    return !AtEnd() && Say("takes its snapshot", doc);
}

bool Turn::GoOn() {
    if (me_.op == Op::kExecute) {
        me_.op = Op::kSelectForUpdate;
        return CanLock(me_.op) && Say("has its locks");
    }
    if (!AtEnd()) return me_.op == Op::kMove ? ClaimRow() : WriteRow();
    if (me_.op == Op::kMove) return MoveOn();
    return me_.op == Op::kFeedUpsert && me_.rows == 0 ? FeedRow() : Commit();
}

// The trigger keeps what is newer, and records what is older.
bool Turn::FeedRow() {
    const Doc doc = me_.hand[me_.key];
    me_.rows = 1;
    switch (Upsert(Table::kChild, me_.key, doc, true, true)) {
        case Upserted::kWritten: return Say("writes into the child", doc);
        case Upserted::kKept: return Say(me_.anomalies ? kFeedAnomaly : "is what the child has", doc);
        default: return false;
    }
}

bool Turn::WriteRow() {
    int at = me_.seen[me_.at] - 1;
    const Found found = Newest(&at);
    if (found == Found::kLocked) return false;
    if (found == Found::kMoved) {
        RollBack();
        return Say(kRetries);
    }
    me_.seen[me_.at++] = 0;
    if (found == Found::kFree) return Change(at);
    if (!AtEnd() || me_.rows > 0) return Say("finds the row deleted");
    if (me_.op == Op::kFeedUpdate) {
        me_.op = Op::kFeedUpsert;
        me_.seen = {};
        me_.at = 0;
        return Say("finds the row deleted: 0 rows, so the feed will insert", me_.hand[me_.key]);
    }
    if (me_.existed)
        next.violation = me_.op == Op::kUpdate   ? kUpdateLost
                         : me_.op == Op::kDelete ? kDeleteLost
                                                 : kSelectLost;
    Close(true);
    return Say("finds the row deleted: 0 rows");
}

bool Turn::Change(int at) {
    const Doc old = s_.version[at].doc;
    me_.rows++;
    if (me_.op == Op::kDelete) {
        Stop(at, End::kDeleted);
        return Say("deletes the row with", old);
    }
    Doc doc = me_.op == Op::kFeedUpdate ? me_.hand[me_.key] : Now(world_, s_);
    if (me_.op == Op::kSelectForUpdate || doc <= old) {  // the feed's trigger, as in FeedRow
        Stop(at, End::kLocked);
        if (doc < old) me_.anomalies |= Bit(doc);
        return Say(doc < old ? kFeedAnomaly : "locks the row with", old);
    }
    Replace(at, doc);
    return Say("updates the row to", doc);
}

bool Turn::ClaimRow() {
    const Claim claim = world_.mover.claim;
    const int read = me_.seen[me_.at] - 1;
    int at = read;
    const Found found = Newest(&at);
    if (found == Found::kLocked && claim != Claim::kSkip) return false;
    me_.seen[me_.at++] = 0;
    bool taken = found == Found::kFree && (claim != Claim::kSkip || at == read);
    if (claim == Claim::kWaitStale) taken = found != Found::kMoved;
    if (!taken) return Say(kBusy);
    const Version& v = s_.version[claim == Claim::kWaitStale ? read : at];
    me_.hand[v.key] = v.doc;
    me_.rows++;
    if (found == Found::kFree && claim != Claim::kCopy)
        Stop(at, world_.mover.mark ? End::kMoved : End::kDeleted);
    return Say("claims the child's row with", v.doc);
}

bool Turn::MoveOn() {
    if (!AtEnd()) return ClaimRow();
    for (int key = 0; key < world_.keys; key++) {
        Doc doc = me_.hand[key];
        if (doc == 0) continue;
        me_.hand[key] = 0;
        switch (Upsert(Table::kParent, key, doc, world_.mover.guard, world_.mover.record)) {
            case Upserted::kLocked: return false;
            case Upserted::kKept: return Say(kKeepsParent, doc);
            case Upserted::kWritten: return Say("writes into the parent", doc);
        }
    }
    if (me_.rows > 0) return Commit();
    Close(true);
    return Say("leaves what is busy");
}

bool Turn::Commit() {
    std::array<int, kMaxKeys> before = {};
    for (int key = 0; key < world_.keys; key++) before[key] = Rows(s_, key);
    Docs settled = 0;  // replaced by what is newer, or deleted by who may
    for (Version& v : s_.version) {
        if (v.maker == id_) {
            v.maker = kCommitted;
            if (role_ != Role::kMover) s_.owed |= Bit(v.doc);
        }
        if (v.ender != id_) continue;
        v.ender = v.end == End::kLocked ? kNobody : kCommitted;
        if (v.end == End::kLocked) v.end = End::kNone;
        if (v.end == End::kUpdated && s_.version[v.next].doc < v.doc) next.violation = kOlderReplacesNewer;
        if (v.end == End::kUpdated && s_.version[v.next].doc > v.doc) settled |= Bit(v.doc);
        if (me_.op != Op::kDelete) continue;
        settled |= Bit(v.doc);
        for (Actor& other : s_.actor)
            if (other.key == v.key) other.existed = 0;
    }
    s_.owed &= static_cast<Docs>(~settled | VisibleDocs(s_));  // another row may have it too
    if (role_ == Role::kFeed) s_.owed |= Bit(me_.hand[me_.key]);
    s_.anomalies |= me_.anomalies;
    for (int key = 0; key < world_.keys && role_ == Role::kMover && !next.violation; key++)
        if (Rows(s_, key) > std::max(before[key], 1) || (Rows(s_, key) == 0 && before[key] > 0))
            next.violation = kTwiceOrGone;
    Close(true);
    return Say("commits");
}

bool Turn::RollBack() {
    for (Version& v : s_.version) {
        if (v.ender == id_) {
            v.ender = kNobody;
            v.end = End::kNone;
            v.next = 0;
        }
        if (v.maker == id_) v = {};
    }
    Close(false);
    return Say(kRollsBack);
}

void Turn::Close(bool acknowledged) {
    uint8_t left = me_.left;
    if (acknowledged && role_ != Role::kMover) left--;
    me_ = {};
    me_.left = left;
}

}  // namespace

State InitialState(const World& world) {
    State s = {};
    for (uint8_t key = 0; key < world.keys; key++) {
        Doc doc = static_cast<Doc>(key + 1);
        s.version[key] = {doc, Table::kChild, key, kCommitted, kNobody, End::kNone, 0};
        s.owed |= Bit(doc);
    }
    for (size_t i = 0; i < world.players.size(); i++) s.actor.at(i).left = world.players[i].statements;
    return s;
}

std::vector<Successor> Successors(const World& world, const State& state) {
    std::vector<Successor> out;
    for (size_t i = 0; i < world.players.size(); i++) {
        const int who = static_cast<int>(i);
        auto attempt = [&](auto step) {
            Turn turn(world, state, who);
            if (!step(&turn)) return;
            Tidy(world, &turn.next.state);
            out.push_back(turn.next);
        };
        auto begin = [&](Op op, int key, Doc doc) {
            attempt([=](Turn* turn) { return turn->Begin(op, key, doc); });
        };
        if (state.actor[i].op != Op::kIdle) {
            attempt([](Turn* turn) { return turn->GoOn(); });
            attempt([](Turn* turn) { return turn->RollBack(); });
        } else if (world.players[i].role == Role::kMover) {
            begin(Op::kMove, 0, 0);
        } else if (state.actor[i].left > 0) {
            for (int key = 0; key < world.keys; key++) {
                if (world.players[i].role == Role::kFeed) {
                    begin(Op::kFeedUpsert, key, Now(world, state));
                    begin(Op::kFeedUpsert, key, static_cast<Doc>(key + 1));  // the key's first document again
                    begin(Op::kFeedUpdate, key, Now(world, state));
                } else {
                    const Op select = world.prepared ? Op::kExecute : Op::kSelectForUpdate;
                    for (Op op : {Op::kUpdate, Op::kDelete, select, Op::kUpsert}) begin(op, key, 0);
                }
            }
        }
    }
    return out;
}

bool MovesAll(const World& world, State s) {
    size_t mover = 0;
    while (mover < world.players.size() && world.players[mover].role != Role::kMover) mover++;
    if (mover == world.players.size()) return true;
    Turn first(world, s, static_cast<int>(mover));
    if (first.Begin(Op::kMove, 0, 0)) s = first.next.state;
    while (!Quiet(s)) {
        Turn turn(world, s, static_cast<int>(mover));
        if (!turn.GoOn()) return false;
        s = turn.next.state;
    }
    for (int key = 0; key < world.keys; key++)
        if (Rows(s, Table::kChild, key) > 0) return false;
    return true;
}

const char* Violated(const World& world, const State& state) {
    for (int key = 0; key < world.keys; key++)
        for (Table table : kTables)
            if (Rows(state, table, key) > 1) return kNotUnique;
    const Docs visible = VisibleDocs(state);
    if (state.owed & ~(visible | state.anomalies)) return kLost;
    if (visible & ~state.owed) return kComesBack;
    return nullptr;
}

}  // namespace vm_model
