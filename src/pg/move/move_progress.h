// Moves on record: vm_move_run, one row for a CALL vm_move, and vm_move_batches, one for each batch. Written
// as the extension's owner.
#pragma once

#include "pg/move/move_batch.h"

// How a CALL vm_move is getting on. Plain data, valid over commits.
struct MoveProgress {
    int64 move_id;
    MoveCounts counts;
    int64 batches;
    int batch_size;
    uint64 wal_bytes;
    int64
        estimated;  // rows to move: by the planner first, then by how much of the child has been gone through
    TimestampTz began;
    char waits_for[128];  // "": it works
    char on_record[128];  // waits_for as it was last written
    TimestampTz waiting_since;
    int64 waited_us;   // before the batch at hand
    double rate;       // rows a second, lately
    TimestampTz told;  // when a NOTICE was last raised, and how many rows there were
    int64 told_rows;
    bool quiet;
};

// Writes a batch to vm_move_batches. move_id 0: it was no part of a CALL vm_move.
void RecordBatch(const MoveTarget* target, int64 move_id, const MoveCounts* counts, TimestampTz began,
                 int64 waited_us, uint64 wal_bytes);

// Writes a new row of vm_move_run and sets move_id and estimated.
void BeginProgress(const MoveTarget* target, MoveProgress* progress);

// Brings the row up to date. state: running, waiting, done, stopped, canceled, failed; with the last four it
// has ended.
void WriteProgress(const MoveTarget* target, MoveProgress* progress, const char* state, const char* error);

// At most once a second, unless quiet: rows, percent, rate, time left.
void TellProgress(const MoveTarget* target, MoveProgress* progress);

// What was done in all, unless quiet.
void TellEnd(const MoveTarget* target, const MoveProgress* progress, const char* why);
