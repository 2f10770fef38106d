// Rows that left the child and did not reach the parent, on record.
#pragma once

#include "pg/move/move_claim.h"

// What would have been recorded, for a dry run.
struct MoveReport {
    MemoryContext context;  // of the texts
    char* kept;             // some _ids, or NULL
    char* refused;          // some _ids with their errors, or NULL
};

// Writes rows whose key stands in the parent to vm_anomaly with both versions, unless they are what it has.
void RecordKept(const MoveTarget* target, const ClaimedRows* claimed, const int* kept, int count,
                MoveReport* report);

// Writes a row that the parent refuses to vm_quarantine with the error, to be sent again by
// vm_retry_quarantine.
void RecordRefused(const MoveTarget* target, const ClaimedRows* claimed, int row, const ErrorData* error,
                   MoveReport* report);
