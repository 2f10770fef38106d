// Writing claimed rows to the parent. Errors of the parent pass through; what was written is undone by the
// caller's subtransaction.
#pragma once

#include "pg/move/move_claim.h"

// What became of some rows.
struct WrittenRows {
    int64 inserted;
    int64 updated;
    int* kept;  // rows whose key stands in the parent and stays: numbers within the batch
    int nkept;
};

// Writes rows `which` of a batch with one statement; a plain INSERT costs less and fails (23505) where a key
// stands in the parent. Runs inside a subtransaction of its own. Errors: a row is refused; on_conflict is
// error and a key stands in the parent (23505, *fatal is set); rows are gone without a trace (02000).
WrittenRows InsertBySql(const MoveTarget* target, const ClaimedRows* claimed, const int* which, int count,
                        bool plain, bool* fatal);

// Writes rows lo … hi - 1 into the parent itself. Those whose key some unique index has already are not
// written: their numbers, *nconflicts of them, are for InsertBySql.
int* InsertNatively(const MoveTarget* target, const ClaimedRows* claimed, int lo, int hi, int* nconflicts);

// Lets statements of the current SPI connection see a tuplestore as a table.
void RegisterRows(const char* name, TupleDesc desc, Tuplestorestate* rows, double count);
