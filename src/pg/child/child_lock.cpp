#include "pg/child/child_lock.h"

#include "pg/server/caught.h"
#include "pg/server/tables.h"

extern "C" {
#include <pgstat.h>
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <storage/proc.h>
}

void LimitLockWait(int milliseconds) {
    (void)set_config_option("lock_timeout", psprintf("%d", milliseconds), PGC_USERSET, PGC_S_SESSION,
                            GUC_ACTION_SAVE, true, 0, false);
}

bool WithinTimeout(void (*f)(void*), void* arg, int64 timeout_us) {
    int nest = NewGUCNestLevel();
    LimitLockWait((int)Max(timeout_us / 1000, 1));
    ErrorData* error = RunCaught(f, arg);
    AtEOXact_GUC(true, nest);
    if (error == NULL) return true;
    if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE) ReThrowError(error);
    return false;
}

void Gently(void (*f)(void*), void* arg, const char* what) {
    constexpr int64 kEachUs = 200 * 1000;
    constexpr long kPausesMs[] = {100, 200, 400, 800};
    for (int i = 0;; i++) {
        if (WithinTimeout(f, arg, kEachUs)) return;
        if (i == lengthof(kPausesMs))
            ereport(ERROR,
                    (errcode(ERRCODE_LOCK_NOT_AVAILABLE), errmsg("%s cannot be locked now", what),
                     errdetail("It was tried %d times, 200 ms each, so that nothing queues behind it for "
                               "long. Nothing was changed.",
                               i + 1),
                     errhint("Try again. pg_stat_activity shows transactions that are open for long, "
                             "pg_prepared_xacts "
                             "those that were prepared.")));
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPausesMs[i],
                        PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

// The tables that a table's foreign keys refer to. In the current context.
static List* ReferencedBy(Oid table) {
    MemoryContext caller = CurrentMemoryContext;
    Oid types[] = {OIDOID};
    Datum values[] = {ObjectIdGetDatum(table)};
    List* tables = NIL;
    SafePath path = EnterSafePath();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    // Not read only: with a snapshot from after the table's lock.
    int code = SPI_execute_with_args(
        "SELECT DISTINCT confrelid FROM pg_constraint WHERE conrelid = $1 AND "
        "contype = 'f' AND confrelid <> conrelid ORDER BY 1",
        1, types, values, NULL, false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
    for (uint64 i = 0; i < SPI_processed; i++) {
        bool null;
        Datum referenced = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null);
        MemoryContext spi = MemoryContextSwitchTo(caller);
        tables = lappend_oid(tables, DatumGetObjectId(referenced));
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    LeaveSafePath(path);
    return tables;
}

void MakeWay(Oid table) {
    int nest = NewGUCNestLevel();
    LimitLockWait(DeadlockTimeout + 500);
    LockRelationOid(table, ShareUpdateExclusiveLock);
    ListCell* cell;
    foreach (cell, ReferencedBy(table)) LockRelationOid(lfirst_oid(cell), ShareUpdateExclusiveLock);
    AtEOXact_GUC(true, nest);
}

int ReadCommittedHint(void) {
    return IsTransactionBlock() ? errhint("BEGIN ISOLATION LEVEL READ COMMITTED.")
                                : errhint("SET default_transaction_isolation = 'read committed';");
}

void RequireReadCommitted(const char* function) {
    if (!IsolationUsesXactSnapshot()) return;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("%s can be called only at READ COMMITTED", function),
                    errdetail("An older snapshot would not show what other sessions have done since."),
                    ReadCommittedHint()));
}

void RequireOwner(Relation rel) {
    if (!has_privs_of_role(GetUserId(), rel->rd_rel->relowner))
        aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(rel->rd_rel->relkind),
                       RelationGetRelationName(rel));
}
