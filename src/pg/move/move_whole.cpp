// vm_move_whole: a child that is at rest moves in one transaction and is truncated; no dead rows, half the
// WAL.
#include "pg/child/child_lock.h"
#include "pg/move/move.h"
#include "pg/move/move_lock.h"
#include "pg/move/move_progress.h"
#include "pg/project/move_project.h"
#include "pg/server/holders.h"
#include "pg/server/tables.h"

extern "C" {
#include <executor/instrument.h>
#include <pgstat.h>
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <storage/proc.h>
#include <storage/procarray.h>

PG_FUNCTION_INFO_V1(vm_move_whole);
}

static void AwaitTransaction(void* arg) {
    VirtualXactLock(*(VirtualTransactionId*)arg, true);
}

// Waits until the transactions that have a snapshot now have ended, or the deadline is over: then it is
// false.
static bool SnapshotsEnded(TimestampTz deadline) {
    int count;
    VirtualTransactionId* holders =
        GetCurrentVirtualXIDs(InvalidTransactionId, true, false, PROC_IS_AUTOVACUUM | PROC_IN_VACUUM, &count);
    for (int i = 0; i < count; i++)
        if (!WithinTimeout(AwaitTransaction, &holders[i], deadline - GetCurrentTimestamp())) return false;
    return true;
}

static void RequireSnapshotsEnded(const MoveTarget* target, TimestampTz deadline) {
    if (SnapshotsEnded(deadline)) return;
    char* who = OldestSnapshot(InvalidTransactionId);
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_IN_USE),
         errmsg("transactions that began earlier may still read child %s", target->child_name),
         errdetail(
             "To a REPEATABLE READ transaction with an older snapshot the rows would vanish: it sees neither "
             "the truncated child nor the parent's new rows. %s%sNothing was moved.",
             who ? who : "", who ? " " : ""),
         errhint("Let that transaction end, or wait longer with wait_ms; pass wait_for_snapshots => false if "
                 "nobody reads in such a transaction.")));
}

static void AwaitVacuum(void* arg) {
    LockRelationOid(((const MoveTarget*)arg)->child_oid, ShareUpdateExclusiveLock);
}

// Refuses while somebody writes. Autovacuum is asked to give way, which takes deadlock_timeout.
static void LockAgainstWriters(const MoveTarget* target) {
    if (WithinTimeout(AwaitVacuum, (void*)target, (DeadlockTimeout + 500) * 1000) &&
        ConditionalLockRelationOid(target->child_oid, ExclusiveLock))
        return;
    ereport(ERROR,
            (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("child %s is being written to", target->child_name),
             errdetail("Moving it as a whole is for projects at rest. Nothing was moved."),
             errhint("Use vm_move, or wait until nobody writes.")));
}

// Two that wait would wait for each other's snapshots.
static void RequireAlone(void) {
    if (TryLockMove(MoveLockOn::Whole, 0, 0, false)) return;
    ereport(
        ERROR,
        (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("another vm_move_whole is under way in this database"),
         errdetail("Each would wait until the other's snapshot has gone."),
         errhint("Try again when it has ended, pass wait_for_snapshots => false, or use vm_move.")));
}

// What TRUNCATE would lose, skip or show that a move of rows does not.
static void CheckFit(const MoveTarget* target) {
    AclResult result = pg_class_aclcheck(target->child_oid, GetUserId(), ACL_TRUNCATE);
    if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_TABLE, RelationGetRelationName(target->child));
    if (!target->native_delete)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("child %s cannot be moved as a whole", target->child_name),
                        errdetail("TRUNCATE would pass by its triggers, rules or row security."),
                        errhint("Use vm_move.")));
    if (RunSql(psprintf("SELECT true FROM ONLY %s WHERE _doc IS NULL LIMIT 1", target->child_name), NULL, 0,
               1)
            .found)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("child %s has rows that wait for their document", target->child_name),
                        errhint("The feed is not done with it. vm_move moves the others.")));
}

// Without queueing: a request that waited would hold up all other readers. Each time again after the
// snapshots, so that none can slip in while a reader is waited for.
static void LockAgainstReaders(const MoveTarget* target, bool wait, TimestampTz deadline) {
    constexpr long kPollMs = 20;
    for (;;) {
        if (wait) RequireSnapshotsEnded(target, deadline);
        if (ConditionalLockRelationOid(target->child_oid, AccessExclusiveLock)) return;
        if (GetCurrentTimestamp() >= deadline)
            ereport(ERROR,
                    (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                     errmsg("child %s is still being read", target->child_name),
                     errdetail("Nothing was moved."), errhint("Wait longer with wait_ms, or use vm_move.")));
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMs, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

// Every row is accounted for before the child is emptied.
static void CheckAll(const MoveTarget* target, const MoveCounts* counts) {
    SqlResult all = RunSql(psprintf("SELECT count(*) FROM ONLY %s", target->child_name), NULL, 0, 1);
    if (DatumGetInt64(all.value[0]) != MovedOf(counts) + counts->quarantined)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("child %s has " INT64_FORMAT " rows, and " INT64_FORMAT " were dealt with",
                               target->child_name, DatumGetInt64(all.value[0]),
                               MovedOf(counts) + counts->quarantined),
                        errdetail("Nothing was moved.")));
}

extern "C" {

// vm_move_whole(child, on_conflict, wait_for_snapshots, wait_ms, key_index)
// → (moved, inserted, updated, kept, quarantined). Errors: somebody writes to the child (55P03); rows wait
// for their documents (55000); triggers or row security of the child (0A000); older snapshots or readers do
// not end (55006, 55P03). All undo everything.
Datum vm_move_whole(PG_FUNCTION_ARGS) {
    TupleDesc result_desc;
    if (get_call_result_type(fcinfo, NULL, &result_desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    RequireArguments(fcinfo, 4);
    CheckMoveAllowed("vm_move_whole()");
    MoveOptions options = {NULL, OnConflictOf(text_to_cstring(PG_GETARG_TEXT_PP(1))), Locking::Lock,
                           NameArgument(fcinfo, 4)};
    bool wait = PG_GETARG_BOOL(2);
    int64 wait_us = (int64)PG_GETARG_INT32(3) * 1000;
    MoveTarget* target =
        BuildTarget(ExtensionSchema(fcinfo), PG_GETARG_OID(0), &options, CurrentMemoryContext);
    CheckMovesTurn(target);
    if (wait) RequireAlone();
    // Before anything is locked; what begins later is looked at again in the end.
    if (wait) RequireSnapshotsEnded(target, GetCurrentTimestamp() + wait_us);
    LockAgainstWriters(target);
    OpenInTurn(&target);
    SafePath path = EnterSafePath();
    CheckFit(target);
    LeaveSafePath(path);
    target->truncates = true;

    uint64 wal = pgWalUsage.wal_bytes;
    TimestampTz began = GetCurrentTimestamp();
    MoveCounts counts = {};
    MoveReport report = {CurrentMemoryContext, NULL, NULL};
    MoveScan scan = BeginScan(target, false);
    bool more;
    MoveRows(target, &scan, PG_INT32_MAX, &counts, &report, &more);
    path = EnterSafePath();
    CheckAll(target, &counts);
    LockAgainstReaders(target, wait, GetCurrentTimestamp() + wait_us);
    CloseTarget(target);
    RunSql(psprintf("TRUNCATE ONLY %s", target->child_name), NULL, 0, 0);
    RecordBatch(target, 0, &counts, began, 0, pgWalUsage.wal_bytes - wal);
    RecordMoveDone(target, &counts);
    LeaveSafePath(path);

    Datum values[] = {Int64GetDatum(MovedOf(&counts)), Int64GetDatum(counts.inserted),
                      Int64GetDatum(counts.updated), Int64GetDatum(counts.kept),
                      Int64GetDatum(counts.quarantined)};
    bool nulls[lengthof(values)] = {};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result_desc), values, nulls)));
}
}
