// vm_move_batch: rows of a child to its parent in one transaction, newer wins, nothing vanishes.
#include "pg/move/move.h"

#include "pg/child/child_lock.h"
#include "pg/server/caught.h"
#include "pg/move/move_progress.h"
#include "pg/project/move_project.h"
#include "pg/server/tables.h"

extern "C" {
#include <executor/instrument.h>
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_move_batch);
}

void CheckMoveAllowed(const char* function) {
    PreventCommandIfReadOnly(function);
    if (IsolationUsesXactSnapshot())
        ereport(
            ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("rows can be moved only at READ COMMITTED"),
             errdetail("An older snapshot would show rows where they no longer are."), ReadCommittedHint()));
}

// What a dry run found, for people.
static void TellDryRun(const MoveTarget* target, const MoveCounts* counts, const MoveReport* report,
                       uint64 wal) {
    ereport(NOTICE, (errmsg("dry run: nothing was moved"),
                     errdetail("It would have written %s of WAL; path: %s.", PrettySize(wal), target->path)));
    if (report->kept != NULL)
        ereport(NOTICE, (errmsg_plural(INT64_FORMAT " row would be kept back, the parent's stays",
                                       INT64_FORMAT " rows would be kept back, the parent's stay",
                                       (unsigned long)counts->kept, counts->kept),
                         errdetail("_id %s.", report->kept)));
    if (report->refused != NULL)
        ereport(NOTICE, (errmsg_plural(INT64_FORMAT " row would go to vm_quarantine",
                                       INT64_FORMAT " rows would go to vm_quarantine",
                                       (unsigned long)counts->quarantined, counts->quarantined),
                         errdetail("_id %s.", report->refused)));
}

struct Batch {
    MoveTarget* target;
    int size;
    MoveCounts counts;
    MoveReport report;
    bool remaining;
    bool dry_run_done;
};

static void RunBatch(Batch* batch, bool dry_run) {
    MoveScan scan = BeginScan(batch->target, false);
    bool more;
    uint64 wal = pgWalUsage.wal_bytes;
    TimestampTz began = GetCurrentTimestamp();
    MoveRows(batch->target, &scan, batch->size, &batch->counts, &batch->report, &more);
    batch->remaining = more || !scan.done || batch->counts.busy > 0;
    wal = pgWalUsage.wal_bytes - wal;
    if (dry_run) {
        TellDryRun(batch->target, &batch->counts, &batch->report, wal);
        return;
    }
    SavePlace(batch->target, &scan);
    RecordBatch(batch->target, 0, &batch->counts, began, 0, wal);
}

// Ends in an error of its own, which takes everything back.
static void RunDry(void* arg) {
    Batch* batch = (Batch*)arg;
    OpenTarget(&batch->target);
    RunBatch(batch, true);
    CloseTarget(batch->target);
    batch->dry_run_done = true;
    ereport(ERROR, (errcode(ERRCODE_TRANSACTION_ROLLBACK), errmsg("dry run")));
}

extern "C" {

// vm_move_batch(child, batch_size, filter, on_conflict, locking, dry_run, key_index)
// → (moved, inserted, updated, kept, busy, quarantined, remaining), moved = inserted + updated + kept
Datum vm_move_batch(PG_FUNCTION_ARGS) {
    TupleDesc result_desc;
    if (get_call_result_type(fcinfo, NULL, &result_desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    RequireArguments(fcinfo, 2);
    RequireArgument(fcinfo, 3);
    RequireArgument(fcinfo, 4);
    RequireArgument(fcinfo, 5);
    int batch_size = PG_GETARG_INT32(1);
    if (batch_size < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("batch_size must be at least 1")));
    CheckMoveAllowed("vm_move_batch()");
    MoveOptions options = {TextArgument(fcinfo, 2), OnConflictOf(text_to_cstring(PG_GETARG_TEXT_PP(3))),
                           LockingOf(text_to_cstring(PG_GETARG_TEXT_PP(4))), NameArgument(fcinfo, 6)};

    Batch batch = {};
    batch.size = batch_size;
    batch.report.context = CurrentMemoryContext;
    batch.target = BuildTarget(ExtensionSchema(fcinfo), PG_GETARG_OID(0), &options, CurrentMemoryContext);
    if (PG_GETARG_BOOL(5)) {
        ErrorData* error = RunCaught(RunDry, &batch);
        if (!batch.dry_run_done) ReThrowError(error);
    } else {
        CheckMovesTurn(batch.target);
        OpenInTurn(&batch.target);
        RunBatch(&batch, false);
        if (!batch.remaining) RecordMoveDone(batch.target, &batch.counts);
        CloseTarget(batch.target);
    }
    MemoryContextDelete(batch.target->context);

    const MoveCounts* counts = &batch.counts;
    Datum values[] = {Int64GetDatum(MovedOf(counts)), Int64GetDatum(counts->inserted),
                      Int64GetDatum(counts->updated), Int64GetDatum(counts->kept),
                      Int64GetDatum(counts->busy),    Int64GetDatum(counts->quarantined),
                      BoolGetDatum(batch.remaining)};
    bool nulls[lengthof(values)] = {};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result_desc), values, nulls)));
}
}
