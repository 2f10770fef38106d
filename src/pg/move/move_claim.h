// Taking rows out of the child: each is ours before it is written anywhere else.
#pragma once

#include "pg/move/move_scan.h"

// Rows that have left the child, not yet committed.
struct ClaimedRows {
    int count;
    int busy;               // left where they are: other sessions hold them or have just changed them
    ItemPointerData* tids;  // where they stood
    HeapTuple* rows;        // in the parent's shape if they are written natively, else in target->row's
};

// Whether nothing has to be asked by SQL: rows are taken as they are read, and a few of them cost no more
// than many.
bool TakenAsRead(const MoveTarget* target);

// Takes the next rows that are ahead of the scan, `want` at most; *more: further ones were seen. Natively
// they are deleted with the mark of a row that has moved elsewhere, so that a racing writer gets SQLSTATE
// 40001 in place of "0 rows"; those that would have to be waited for are left and counted. Where the child
// wants SQL it is locked, and all are deleted.
ClaimedRows* ClaimNextRows(const MoveTarget* target, MoveScan* scan, int want, bool* more);

// Rows of a batch once more as they stood in the child, as a tuplestore in the child's shape.
Tuplestorestate* ChildRows(const MoveTarget* target, const ClaimedRows* claimed, const int* which, int count);
