// What is left in a child. Asked of the table itself: no policy and no snapshot of the caller's hides a row.
#pragma once

#include "pg/server/compat.h"

struct ChildRows {
    int64 all;
    int64 half;  // of these, rows that wait for their document
};
// As others see the child now. Reads all of it.
ChildRows CountRows(Relation child);

// Who sees a row of the child: one that is there, one that is just written, or one that is gone but not for
// older snapshots. Nobody is final while the child is locked against writers.
// *gone: the last transaction that has deleted some, if only older snapshots see them; else not valid.
enum class Seen { ByNobody, ByThisTransaction, ByOthers };
Seen WhoSees(Relation child, TransactionId* gone);
