// CALL vm_move: batch after batch, each in a transaction of its own.
#include "pg/child/child_lock.h"
#include "pg/server/caught.h"
#include "pg/move/move.h"
#include "pg/move/move_control.h"
#include "pg/move/move_lock.h"
#include "pg/project/move_project.h"
#include "pg/move/move_run.h"
#include "pg/server/tables.h"

extern "C" {
#include <executor/instrument.h>
#include <common/pg_prng.h>
#include <nodes/parsenodes.h>
#include <pgstat.h>
#include <storage/latch.h>

PG_FUNCTION_INFO_V1(vm_move);
}

static constexpr int64 kSlice = 200 * 1000;  // the longest a move sleeps without looking up, microseconds
static constexpr int64 kLongestBackOff = 1000000;  // between tries where others are in the way

static TimestampTz Now(void) {
    return GetCurrentTimestamp();
}

static void BackOff(MoveRun* run) {
    run->back_off = run->back_off == 0 ? 50 * 1000 : Min(run->back_off * 2, kLongestBackOff);
    // Not in step with another move that does the same.
    run->wake_at = Now() + run->back_off / 2 + (int64)(run->back_off * pg_prng_double(&pg_global_prng_state));
}

// Whether two say the same, but for the details behind a comma.
static bool SameReason(const char* one, const char* other) {
    size_t len = strcspn(one, ",");
    return len == strcspn(other, ",") && strncmp(one, other, len) == 0;
}

// What it waits for, from now on unless it has been waiting for that already.
static void NoteWait(MoveProgress* progress, const char* reason) {
    if (!SameReason(progress->waits_for, reason)) progress->waiting_since = Now();
    snprintf(progress->waits_for, sizeof(progress->waits_for), "%s", reason);
}

static void End(MoveRun* run, const char* state, const char* why) {
    run->state = state;
    run->over = MemoryContextStrdup(MemoryContextGetParent(run->step), why);
}

// Says why it waits, on record too if that is news, and sleeps for a while.
static void Wait(MoveRun* run, const char* reason, TimestampTz until) {
    MoveProgress* progress = &run->progress;
    bool news = !SameReason(progress->on_record, reason);
    TimestampTz now = Now();
    NoteWait(progress, reason);
    // Others may go on where this one waits.
    if (run->scanning) EndScan(run->target, &run->scan);
    if (news) WriteProgress(run->target, progress, "waiting", NULL);
    TellProgress(run->target, progress);
    int64 us = Min(Max(until - now, 1000), kSlice);
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, (us + 999) / 1000,
                    PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    progress->waited_us += Now() - now;
}

// Why the next batch has to wait, and until when; NULL if it may begin.
static char* ReasonToWait(MoveRun* run, const MoveControl* control, TimestampTz* until) {
    *until = Now() + kSlice;
    if (control->paused_by != NULL) return psprintf("%s, paused by %s", kPaused, control->paused_by);
    if (run->wake_at > Now()) {
        *until = run->wake_at;
        return pstrdup(run->progress.waits_for[0] ? run->progress.waits_for
                                                  : "rows that other sessions hold");
    }
    return ThrottleReason(&run->throttle, until);
}

// Below deadlock_timeout: it is the move that yields, not the application. Until the level that is returned
// ends.
static int LimitLockWaits(const MoveRun* run) {
    int nest = NewGUCNestLevel();
    LimitLockWait(run->lock_timeout_ms);
    return nest;
}

// Whoever takes the project a step further at this moment is not waited for: the batch is tried again.
static void RecordDone(MoveRun* run) {
    int nest = LimitLockWaits(run);
    RecordMoveDone(run->target, &run->progress.counts);
    AtEOXact_GUC(true, nest);
}

// A round is complete. While rows were left, the next one covers their places only. In the end a whole round
// must find nothing: an update may have put a row's new version where the scan had been already. With a feed
// at work that may never be, so some rounds are enough.
static void EndRound(MoveRun* run) {
    constexpr int kMostRounds = 10;
    EndScan(run->target, &run->scan);
    if (run->busy_in_round > 0 || run->scan.skipped) {
        const char* reason =
            run->scan.skipped ? "another move of the same child" : "rows that other sessions hold";
        NoteWait(&run->progress, reason);
        BackOff(run);
        BeginRoundOfRest(&run->scan);
    } else if (run->rows_since_whole > 0 && run->rounds < kMostRounds) {
        run->rounds++;
        run->rows_since_whole = 0;
        BeginWholeRound(&run->scan);
    } else {
        bool all = run->rows_since_whole == 0;
        if (all) RecordDone(run);
        End(run, "done", all ? "done" : "done, and more rows keep coming");
    }
    run->busy_in_round = 0;
}

// Rows to move in all, by how much of the child has been gone through: better than what the planner said,
// soon.
static void Estimate(MoveRun* run, int64 rows) {
    const MoveScan* scan = &run->scan;
    MoveProgress* progress = &run->progress;
    run->first_round_rows += rows;
    if (run->rounds > 0 || scan->wrapped || scan->end <= scan->start.block) return;
    double passed = (double)(scan->at.block - scan->start.block) / (scan->end - scan->start.block);
    if (passed > 0.02) progress->estimated = (int64)(run->first_round_rows / passed);
}

static void Batch(MoveRun* run) {
    MoveProgress* progress = &run->progress;
    TimestampTz began = Now();
    uint64 wal = pgWalUsage.wal_bytes;
    int nest = LimitLockWaits(run);
    // A batch that a crash takes back is in the child again: nobody needs to wait for the disk before the
    // last commit.
    (void)set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true,
                            0, false);
    // At the commit, which is this batch's own, no row could be blamed.
    RunSql("SET CONSTRAINTS ALL IMMEDIATE", NULL, 0, 0);
    OpenInTurn(&run->target);
    run->at_batch = true;
    MoveCounts counts = {};
    bool more;
    progress->batch_size = ThrottleBatch(&run->throttle, run->pace.batch());
    MoveRows(run->target, &run->scan, progress->batch_size, &counts, &run->report, &more);
    AtEOXact_GUC(true, nest);

    int64 rows = MovedOf(&counts) + counts.quarantined;
    wal = pgWalUsage.wal_bytes - wal;
    progress->counts.inserted += counts.inserted;
    progress->counts.updated += counts.updated;
    progress->counts.kept += counts.kept;
    progress->counts.busy += counts.busy;
    progress->counts.quarantined += counts.quarantined;
    progress->batches += rows > 0;
    progress->wal_bytes += wal;
    progress->waits_for[0] = '\0';
    run->busy_in_round += counts.busy;
    run->rows_since_whole += rows + counts.busy;
    if (rows > 0) run->back_off = 0;
    RecordBatch(run->target, progress->move_id, &counts, began, progress->waited_us, wal);
    progress->waited_us = 0;
    SavePlace(run->target, &run->scan);
    Estimate(run, rows);
    if (run->scan.done) EndRound(run);
    WriteProgress(run->target, progress, progress->waits_for[0] ? "waiting" : "running", NULL);
    TellProgress(run->target, progress);
    CloseTarget(run->target);
    run->pace.Took(rows, Now() - began);
    ThrottleDone(&run->throttle, rows, wal, began);
}

// A step of its own: its place is not lost with a batch that is undone.
static void BeginScanning(MoveRun* run) {
    int nest = LimitLockWaits(run);
    OpenInTurn(&run->target);
    run->scan = BeginScan(run->target, true);
    run->scanning = true;
    CloseTarget(run->target);
    AtEOXact_GUC(true, nest);
}

// One step: a batch, or a short wait. In a subtransaction.
static void Step(void* arg) {
    MoveRun* run = (MoveRun*)arg;
    CHECK_FOR_INTERRUPTS();
    run->at_batch = false;
    MoveControl control = ReadControl(run->target->schema, run->target->child_oid);
    if (control.stop_at > run->progress.began) {
        End(run, "stopped", psprintf("stopped by %s", control.stop_by));
    } else if (run->max_run_us > 0 && Now() - run->progress.began >= run->max_run_us) {
        End(run, "stopped", "max_run_time is over");
    } else if (run->progress.counts.quarantined > run->max_quarantined) {
        End(run, "failed",
            psprintf("the parent refused more than " INT64_FORMAT " rows", run->max_quarantined));
    } else {
        TimestampTz until;
        char* reason = ReasonToWait(run, &control, &until);
        if (reason != NULL) {
            // It may have been switched back meanwhile, and be switched again before this one goes on.
            int nest = LimitLockWaits(run);
            CheckMovesTurn(run->target);
            AtEOXact_GUC(true, nest);
            Wait(run, reason, until);
        } else if (!run->scanning)
            BeginScanning(run);
        else
            Batch(run);
    }
}

// After a batch that was undone because somebody was in the way: a smaller one, later. A single row is passed
// over for this round.
static void Yielded(MoveRun* run, const MoveScan* before) {
    if (!run->at_batch) {
        // No row has to do with it.
        if (run->scanning) ReturnTo(&run->scan, before);
    } else if (run->pace.Yield()) {
        run->busy_in_round++;
        run->rows_since_whole++;
        run->progress.counts.busy++;
        NotePassed(&run->scan, before);
    } else {
        ReturnTo(&run->scan, before);
    }
    NoteWait(&run->progress, "a lock that another session holds");
    BackOff(run);
}

// The run's last words, committed.
static void Conclude(MoveRun* run, const char* state, const char* error) {
    HOLD_INTERRUPTS();  // a second cancel must not leave the locks with the session
    if (run->scanning) EndScan(run->target, &run->scan);
    run->progress.waits_for[0] = '\0';
    PG_TRY();
    {
        WriteProgress(run->target, &run->progress, state, error);
        SPI_commit();
    }
    PG_FINALLY();
    { UnlockMove(MoveLockOn::Run, (uint32)(run->progress.move_id >> 32), (uint32)run->progress.move_id); }
    PG_END_TRY();
    RESUME_INTERRUPTS();
}

[[noreturn]] static void Fail(MoveRun* run, const ErrorData* error) {
    bool canceled = error->sqlerrcode == ERRCODE_QUERY_CANCELED;
    Conclude(run, canceled ? "canceled" : "failed", ReadableMessage(error));
    const MoveCounts* counts = &run->progress.counts;
    ereport(
        ERROR,
        (errcode(error->sqlerrcode), errmsg("move of %s: %s", run->target->child_name, error->message),
         errdetail_plural("%s" INT64_FORMAT
                          " row has moved and stays moved; the batch at hand was undone, nothing is lost.",
                          "%s" INT64_FORMAT
                          " rows have moved and stay moved; the batch at hand was undone, nothing is lost.",
                          (unsigned long)MovedOf(counts), error->detail ? psprintf("%s ", error->detail) : "",
                          MovedOf(counts)),
         errhint("%s%s", error->hint ? psprintf("%s ", error->hint) : "",
                 canceled ? "CALL vm_move again goes on from there."
                          : "Once the cause is mended, CALL vm_move again goes on from there."),
         error->context ? errcontext("%s", error->context) : 0));
}

// Commits what a step did. Deferred triggers of the parent may object at that moment.
static void Commit(MoveRun* run, const MoveProgress* before) {
    MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    { SPI_commit(); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        FlushErrorState();
        run->progress = *before;
        Fail(run, error);
    }
    PG_END_TRY();
}

static void Run(MoveRun* run) {
    while (run->over == NULL) {
        MoveRun before = *run;
        MemoryContext outer = MemoryContextSwitchTo(run->step);
        ErrorData* error = RunCaughtAll(Step, run);
        if (error != NULL) {
            run->progress = before.progress;
            run->rows_since_whole = before.rows_since_whole;
            run->busy_in_round = before.busy_in_round;
            run->rounds = before.rounds;
            run->first_round_rows = before.first_round_rows;
            run->over = before.over;
            run->scanning = before.scanning;
            if (!InTheWay(error)) Fail(run, error);
            Yielded(run, &before.scan);
        }
        MemoryContextSwitchTo(outer);
        Commit(run, &before.progress);
        MemoryContextReset(run->step);
    }
}

static void CheckNotAtomic(FunctionCallInfo fcinfo) {
    if (CalledAtomically(fcinfo))
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
             errmsg("vm_move commits batch by batch and cannot run inside a transaction block"),
             errhint("CALL it by itself, outside BEGIN and of functions; or use vm_move_batch, one batch in "
                     "your transaction.")));
}

extern "C" {

// CALL vm_move(child, …): see the arguments in the install script. Errors: inside a transaction block
// (2D000); those of vm_move_batch; whatever a batch ran into, with what has moved by then.
Datum vm_move(PG_FUNCTION_ARGS) {
    CheckNotAtomic(fcinfo);
    CheckMoveAllowed("vm_move()");
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    MoveRun* run = BeginRun(fcinfo);
    CheckMovesTurn(run->target);
    BeginProgress(run->target, &run->progress);
    (void)TryLockMove(MoveLockOn::Run, (uint32)(run->progress.move_id >> 32), (uint32)run->progress.move_id,
                      true);
    SPI_commit();
    Run(run);
    TellEnd(run->target, &run->progress, run->over);
    Conclude(run, run->state, strcmp(run->state, "failed") == 0 ? run->over : NULL);
    if (strcmp(run->state, "failed") == 0)
        ereport(
            ERROR,
            (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
             errmsg("move of %s: %s", run->target->child_name, run->over),
             errdetail("They are in vm_quarantine, each with its error; the others have moved."),
             errhint("Mend the cause, send them again with vm_retry_quarantine, then CALL vm_move again; or "
                     "allow more with max_quarantined.")));
    SPI_finish();
    PG_RETURN_VOID();
}
}
