// The way of a move through its child: once round, from where the last move ended, never over the same ground
// twice.
#pragma once

#include "pg/move/move_target.h"
#include "pg/server/tables.h"

// Children are cut into chunks of so many blocks; movers that share a child work on different ones.
constexpr BlockNumber kChunkBlocks = 1024;

// A place in a child: rows at and behind it are ahead.
struct MovePlace {
    BlockNumber block;
    OffsetNumber offset;
};

// One round. Plain data, valid over commits; chunk locks are the session's and are given back by EndScan.
struct MoveScan {
    MovePlace start;  // of the round
    MovePlace at;     // what comes next
    BlockNumber end;  // blocks of the child when its end was last looked at
    bool wrapped;     // going from the beginning to the start
    bool done;        // the round is complete
    bool share;       // take a lock on each chunk, and leave those that another mover has
    bool skipped;     // some were left
    bool locked;      // the lock on `chunk` is held
    BlockNumber chunk;
    double rows_per_block;  // lately
    bool rest;              // something was left on the way, between these places
    MovePlace rest_from;
    MovePlace rest_to;
};

inline MovePlace PlaceOf(const ItemPointerData* tid) {
    return MovePlace{ItemPointerGetBlockNumber(tid), ItemPointerGetOffsetNumber(tid)};
}

// Starts a round where the last move with the same filter ended.
MoveScan BeginScan(const MoveTarget* target, bool share);

// Another round, over everything. Little is left by then: it is shared row by row, without locks on chunks.
void BeginWholeRound(MoveScan* scan);

// The same, over the part in which something was left: chunks of another mover, and what NoteBusy was
// told.
void BeginRoundOfRest(MoveScan* scan);

// A row at this place was left.
void NoteBusy(MoveScan* scan, MovePlace place);

// A row somewhere between `before` and now was left.
void NotePassed(MoveScan* scan, const MoveScan* before);

// Undoes what was scanned since `before`, but for the chunk's lock.
void ReturnTo(MoveScan* scan, const MoveScan* before);

// The stretch that comes next: from scan->at to *to, which is not part of it. False if the round is complete.
bool NextStretch(const MoveTarget* target, MoveScan* scan, MovePlace* to);

// At the end of a stretch: whether `count` rows are a batch. With others at work the next chunk may not be
// ours.
bool StretchIsBatch(const MoveScan* scan, int count);

// The next rows that have their document and match the filter: *count of them, `want` at most, in the order
// of the table, allocated in the current context; *more says whether further ones were seen. Fewer than
// wanted only if the round, or with `share` the chunk, is complete. The filter runs with the caller's
// search_path.
ItemPointerData* NextRows(const MoveTarget* target, MoveScan* scan, int want, int* count, bool* more);

// The same rows and all others of the child that match the filter and have a key of theirs; *count changes.
ItemPointerData* WithSameKeys(const MoveTarget* target, ItemPointerData* rows, int* count);

// Remembers the place for the next move; part of the transaction. Left to the other one if two do so at once.
void SavePlace(const MoveTarget* target, const MoveScan* scan);

// Gives back the chunk's lock.
void EndScan(const MoveTarget* target, MoveScan* scan);

// The condition on the child's rows, fit to stand in SQL: true where there is none.
const char* FilterOf(const MoveTarget* target);

// Runs SQL that has the move's filter in it, with the caller's search_path, for the first column of its first
// row.
SqlResult RunWithFilter(const MoveTarget* target, const char* sql, const SqlArg* args, int nargs);
