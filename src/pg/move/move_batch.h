// One batch: rows chosen, claimed, written, and what went wrong recorded.
#pragma once

#include "pg/move/move_record.h"
#include "pg/move/move_scan.h"

struct MoveCounts {
    int64 inserted;
    int64 updated;
    int64 kept;
    int64 busy;         // left in the child: held or just changed by other sessions
    int64 quarantined;  // refused by the parent
};

inline int64 MovedOf(const MoveCounts* counts) {
    return counts->inserted + counts->updated + counts->kept;
}

// Moves up to `most` rows that are ahead of the scan, and adds to *counts. *more: there are further ones.
// Part of the caller's transaction; whatever fails as a whole is an error, a row that the parent refuses is
// not.
void MoveRows(const MoveTarget* target, MoveScan* scan, int most, MoveCounts* counts, MoveReport* report,
              bool* more);
