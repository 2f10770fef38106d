#include "pg/child/drop_child.h"

#include "pg/child/child_rows.h"
#include "pg/server/holders.h"
#include "pg/server/tables.h"

extern "C" {
#include <pgstat.h>
#include <storage/bufmgr.h>
#include <storage/latch.h>
#include <storage/proc.h>
}

static void RequireSmall(Relation child) {
    constexpr uint64 kMost = 256 * 1024 * 1024;
    uint64 size = (uint64)RelationGetNumberOfBlocks(child) * BLCKSZ;
    if (size <= kMost) return;
    char* name = QualifiedName(RelationGetRelid(child));
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("child %s has %s of dead rows", name, PrettySize(size)),
                    errdetail("To look through them once more under a lock would hold up queries through the "
                              "parent."),
                    errhint("VACUUM %s;", name)));
}

[[noreturn]] static void RaiseSeen(Oid schema, Relation child, Seen by, TransactionId gone) {
    char* who = NULL;
    if (by == Seen::ByOthers)
        who = TransactionIdIsValid(gone) ? OldestSnapshot(gone) : WriterOf(schema, RelationGetRelid(child));
    ereport(
        ERROR,
        (errcode(ERRCODE_OBJECT_IN_USE),
         errmsg("child %s is empty, but not for every open transaction",
                QualifiedName(RelationGetRelid(child))),
         errdetail("Older snapshots do not show these rows in the parent, and without the child not at all. "
                   "%s%sNothing was changed.",
                   who ? who : "", who ? " " : ""),
         by == Seen::ByThisTransaction
             ? errhint("This transaction has moved or deleted them: commit it first.")
             : errhint("Let that transaction end, then try again.")));
}

void RequireForgotten(Oid schema, Relation child, bool wait) {
    constexpr long kPollMs = 50;
    constexpr int64 kPatienceUs = 5 * USECS_PER_SEC;
    RequireSmall(child);
    TimestampTz deadline = GetCurrentTimestamp() + (wait ? kPatienceUs : 0);
    for (;;) {
        TransactionId gone;
        Seen by = WhoSees(child, &gone);
        if (by == Seen::ByNobody) return;
        if (by == Seen::ByThisTransaction || GetCurrentTimestamp() >= deadline)
            RaiseSeen(schema, child, by, gone);
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMs, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

void ForgetChild(Oid schema, Oid child) {
    static const char* const tables[] = {"vm_feed_seen", "vm_move_place", "vm_move_control"};
    SqlArg args[] = {OidArg(REGCLASSOID, child)};
    AsOwner owner = EnterAsOwner(schema);
    for (const char* table : tables)
        RunSql(psprintf("DELETE FROM %s WHERE child = $1", ExtensionName(schema, table)), args, 1, 0);
    LeaveAsOwner(owner);
}

// DROP TABLE says how to drop what depends on the child too, which is not what is wanted.
static void RunDrop(const char* name) {
    MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    { RunSql(psprintf("DROP TABLE %s RESTRICT", name), NULL, 0, 0); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        if (error->sqlerrcode != ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST) PG_RE_THROW();
        FlushErrorState();
        error->message = psprintf("child %s cannot be dropped: other objects depend on it", name);
        error->hint = psprintf("Drop these first, or let them use the parent. Nothing was changed.");
        ReThrowError(error);
    }
    PG_END_TRY();
}

void DropChild(Oid schema, Oid child) {
    ForgetChild(schema, child);
    SqlArg args[] = {OidArg(REGCLASSOID, child)};
    RunAsOwner(schema, psprintf("DELETE FROM %s WHERE child = $1", ExtensionName(schema, "vm_child")), args,
               1, 0);
    SafePath path = EnterSafePath();
    RunDrop(QualifiedName(child));
    LeaveSafePath(path);
}
