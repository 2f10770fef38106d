// One project of a CALL vm_migrate: what vm_next says is done, until something outside has to be done first.
#include "pg/server/caught.h"
#include "pg/migrate/migrate_run.h"
#include "pg/project/step.h"
#include "pg/server/tables.h"

extern "C" {
#include <parser/analyze.h>
#include <pgstat.h>
#include <postmaster/interrupt.h>
#include <storage/latch.h>
#include <tcop/pquery.h>
#include <tcop/tcopprot.h>
#include <tcop/utility.h>
#include <utils/snapmgr.h>
}

// Where the project is. Texts in the mover's context, valid over commits.
struct Next {
    char* step;
    char* entity;  // or NULL
    char* statement;
    char* why_not_yet;
    char* do_first;
    int steps;  // that a project has
};

struct Traveller {
    const MigrateRun* run;
    const MigrateTask* task;
    MemoryContext context;
    Next next;
    int tries;          // of the step at hand
    bool gone;          // the caller is
    const char* again;  // why the step at hand is tried again, or NULL
    const char* stuck;  // of a move that has ended without moving all: why
};

static void AskNext(Traveller* traveller) {
    SqlArg args[] = {TextArg(traveller->task->tenant), TextArg(traveller->task->project)};
    SqlResult row =
        RunSql(psprintf("SELECT step, entity, statement, why_not_yet, do_first, steps FROM %s($1, $2)",
                        ExtensionName(traveller->run->schema, "vm_next")),
               args, 2, 6);
    MemoryContext outer = MemoryContextSwitchTo(traveller->context);
    traveller->next =
        Next{TextOrNull(&row, 0), TextOrNull(&row, 1), TextOrNull(&row, 2),
             TextOrNull(&row, 3), TextOrNull(&row, 4), row.null[5] ? 0 : DatumGetInt32(row.value[5])};
    MemoryContextSwitchTo(outer);
    // A mover waits for that to end, and says so.
    char* why = traveller->next.why_not_yet;
    if (why != NULL && strncmp(why, kMovesPaused, strlen(kMovesPaused)) == 0)
        traveller->next.why_not_yet = NULL;
}

static const char* Literal(const char* text) {
    return text ? quote_literal_cstr(text) : "NULL";
}

// What is on record of a step that is done outside: the caller vouches for it.
static char* RecordCall(const Traveller* traveller, const char* found) {
    return psprintf("SELECT %s(%s, %s, %s, %s, %s)", ExtensionName(traveller->run->schema, "vm_record_step"),
                    Literal(traveller->task->tenant), Literal(traveller->task->project),
                    Literal(traveller->next.step), Literal(found), Literal(traveller->next.entity));
}

// Of a project at rest a minute is enough for who still writes: a mover has others to do.
static char* SwitchCall(const Traveller* traveller) {
    const char* quiet = traveller->run->quiet_seconds;
    return psprintf(
        "SELECT FROM %s(%s, %s, %s, quiet_seconds => %s, max_wait => pg_catalog.make_interval("
        "secs => %s OPERATOR(pg_catalog.+) 60))",
        ExtensionName(traveller->run->schema, "vm_switch"), Literal(traveller->task->tenant),
        Literal(traveller->task->project), Literal(traveller->next.entity), quiet, quiet);
}

// The child of the entity at hand; InvalidOid if there is none.
static Oid ChildOf(const Traveller* traveller) {
    SqlArg args[] = {TextArg(traveller->task->tenant), TextArg(traveller->task->project),
                     TextArg(traveller->next.entity)};
    SqlResult child =
        RunAsOwner(traveller->run->schema,
                   psprintf("SELECT child FROM %s WHERE tenant = $1 AND project = $2 AND entity = $3",
                            ExtensionName(traveller->run->schema, "vm_project_entity")),
                   args, 3, 1);
    return child.found && !child.null[0] ? DatumGetObjectId(child.value[0]) : InvalidOid;
}

static char* WholeCall(const Traveller* traveller) {
    Oid child = ChildOf(traveller);
    if (!OidIsValid(child)) return traveller->next.statement;
    return psprintf("SELECT FROM %s(%s, wait_for_snapshots => false)",
                    ExtensionName(traveller->run->schema, "vm_move_whole"), Literal(QualifiedName(child)));
}

static bool At(const Traveller* traveller, const char* step) {
    return strcmp(traveller->next.step, step) == 0;
}

// What to record of a step that is done outside; NULL: it is none, or nobody vouches for it.
static const char* FoundOutside(const Traveller* traveller) {
    const MigrateRun* run = traveller->run;
    if (At(traveller, "source_check")) return run->source_checked;
    if (At(traveller, "feed_start")) return run->feed_started;
    return At(traveller, "feed_stop") ? run->feed_stopped : NULL;
}

static bool IsOutside(const Traveller* traveller) {
    return At(traveller, "source_check") || At(traveller, "feed_start") || At(traveller, "feed_stop");
}

static char* StatementFor(const Traveller* traveller) {
    if (IsOutside(traveller)) return RecordCall(traveller, FoundOutside(traveller));
    if (At(traveller, "switch")) return SwitchCall(traveller);
    if (At(traveller, "move") && traveller->run->whole) return WholeCall(traveller);
    return traveller->next.statement;
}

// As if a client had sent it: a CALL among them commits by itself. In a context that outlives its
// transactions.
static void Execute(const char* sql) {
    debug_query_string = sql;
    ListCell* cell;
    foreach (cell, pg_parse_query(sql)) {
        RawStmt* statement = (RawStmt*)lfirst(cell);
        bool snapshot = analyze_requires_snapshot(statement);
        if (snapshot) PushActiveSnapshot(GetTransactionSnapshot());
        List* queries = pg_analyze_and_rewrite_fixedparams(statement, sql, NULL, 0, NULL);
        List* plans = pg_plan_queries(queries, sql, 0, NULL);
        if (snapshot) PopActiveSnapshot();
        Portal portal = CreatePortal("", true, true);
        PortalDefineQuery(portal, NULL, sql, CreateCommandTag(statement->stmt), plans, NULL);
        PortalStart(portal, NULL, 0, InvalidSnapshot);
        RunPortal(portal);
        PortalDrop(portal, false);
    }
    debug_query_string = NULL;
}

// The same statement may succeed the next time.
static bool MaySucceed(const ErrorData* error) {
    return InTheWay(error) || error->sqlerrcode == ERRCODE_OBJECT_IN_USE;
}

// A step that was refused because of what is there, as against one that broke.
static bool Refused(const ErrorData* error) {
    return ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE;
}

static void TellWhere(void* arg) {
    const Traveller* traveller = (const Traveller*)arg;
    errcontext("vm_migrate, step %s of project %s of tenant %s",
               traveller->next.step ? traveller->next.step : "at hand", traveller->task->project,
               traveller->task->tenant);
}

// f in a transaction of its own, which it may commit. The error, in traveller->context, or NULL. To the
// server's log go those that nobody foresaw.
static ErrorData* InTransaction(void (*f)(Traveller*), Traveller* traveller) {
    ErrorData* volatile error = NULL;
    ErrorContextCallback callback = {error_context_stack, TellWhere, traveller};
    PG_TRY();
    {
        error_context_stack = &callback;
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        MemoryContextSwitchTo(traveller->context);
        CHECK_FOR_INTERRUPTS();
        f(traveller);
        CommitTransactionCommand();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(traveller->context);
        error = CopyErrorData();
        if (!MaySucceed(error) && !Refused(error)) EmitErrorReport();
        debug_query_string = NULL;
        FlushErrorState();
        AbortCurrentTransaction();
    }
    PG_END_TRY();
    error_context_stack = callback.previous;
    MemoryContextSwitchTo(traveller->context);
    pgstat_report_stat(false);
    return error;
}

static void Look(Traveller* traveller) {
    PushActiveSnapshot(GetTransactionSnapshot());
    traveller->gone = CallerIsGone(traveller->run->run_id);
    AskNext(traveller);
    NoteStep(traveller->run, traveller->task, traveller->next.step, traveller->next.entity, traveller->again);
    PopActiveSnapshot();
}

static void Go(Traveller* traveller) {
    PushActiveSnapshot(GetTransactionSnapshot());
    char* sql = StatementFor(traveller);
    PopActiveSnapshot();
    pgstat_report_activity(STATE_RUNNING, sql);
    Execute(sql);
}

// What a move that has ended, and has not moved all, is on record with.
static void AskStuck(Traveller* traveller) {
    traveller->stuck = NULL;
    if (!At(traveller, "move") && !At(traveller, "move_closed")) return;
    PushActiveSnapshot(GetTransactionSnapshot());
    SqlArg args[] = {OidArg(REGCLASSOID, ChildOf(traveller))};
    SqlResult row = RunAsOwner(traveller->run->schema,
                               psprintf("SELECT state FROM %s WHERE child = $1 ORDER BY move_id DESC LIMIT 1",
                                        ExtensionName(traveller->run->schema, "vm_move_run")),
                               args, 1, 1);
    PopActiveSnapshot();
    if (row.found && strcmp(TextDatumGetCString(row.value[0]), "stopped") == 0)
        traveller->stuck = "the move was stopped with vm_stop_move";
    else if (!traveller->run->whole)
        traveller->stuck = "rows keep coming while they are moved: its feed is at work";
}

static MigrateEnd Ended(const Traveller* traveller, const char* state, const char* why, const char* hint) {
    return MigrateEnd{state, false, traveller->next.step, traveller->next.entity, why, hint};
}

static MigrateEnd Stopped(const Traveller* traveller, const char* why) {
    const Next* next = &traveller->next;
    return Ended(traveller, "stopped", why, next->do_first ? next->do_first : next->statement);
}

// Snapshots that a child has to be kept for: of other movers perhaps, which are at work for long.
static bool IsStillSeen(const Traveller* traveller, const ErrorData* error) {
    return At(traveller, "finish") && error->sqlerrcode == ERRCODE_OBJECT_IN_USE;
}

static MigrateEnd Raised(const Traveller* traveller, const ErrorData* error) {
    bool refused = MaySucceed(error) || Refused(error);
    MigrateEnd end = Ended(traveller, refused ? "stopped" : "failed", ReadableMessage(error), error->hint);
    end.postponed = refused && traveller->next.step != NULL && IsStillSeen(traveller, error);
    return end;
}

static bool SamePlace(const Next* a, const Next* b) {
    return a->step != NULL && strcmp(a->step, b->step) == 0 && (a->entity == NULL) == (b->entity == NULL) &&
           (a->entity == NULL || strcmp(a->entity, b->entity) == 0);
}

// Longer each time. In a transaction, which has no snapshot, so that a cancel is the step's.
static void Pause(Traveller* traveller) {
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 100L << traveller->tries++,
                    PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

static void Reload(void) {
    if (!ConfigReloadPending) return;
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
}

MigrateEnd MigrateProject(const MigrateRun* run, const MigrateTask* task) {
    constexpr int kMostTries =
        6;  // 100 ms and twice as long each time: 6.3 s, and what the step itself waits
    Traveller traveller = {run, task, CurrentMemoryContext, {}, 0, false, NULL, NULL};
    Next done = {};
    for (int steps = 0;; steps++) {
        Reload();
        ErrorData* error = InTransaction(Look, &traveller);
        if (error != NULL) return Raised(&traveller, error);
        const Next* next = &traveller.next;
        if (At(&traveller, "done") || (At(&traveller, "finish") && !run->finish))
            return Ended(&traveller, "done", NULL, NULL);
        if (traveller.gone)
            return Ended(&traveller, "stopped", "the session that called vm_migrate is gone",
                         "CALL vm_migrate again.");
        if (SamePlace(&done, next)) {
            if (next->why_not_yet == NULL) (void)InTransaction(AskStuck, &traveller);
            const char* why = next->why_not_yet ? next->why_not_yet : traveller.stuck;
            return Stopped(&traveller, why ? why : "it did not get any further");
        }
        // Documents that come all the time may take it back to a step that it has done.
        if (steps > 3 * next->steps + kMostTries)
            return Stopped(&traveller,
                           "it does not come to rest: what was done has to be done again and again");
        // A check that failed may pass now; whatever else is in the way is not ours to clear.
        if (next->why_not_yet != NULL && !At(&traveller, "check"))
            return Stopped(&traveller, next->why_not_yet);
        if (IsOutside(&traveller) && FoundOutside(&traveller) == NULL)
            return Stopped(&traveller, psprintf("%s is not on record", next->step));
        done = *next;
        error = InTransaction(Go, &traveller);
        traveller.again = NULL;
        if (error == NULL) {
            traveller.tries = 0;
            continue;
        }
        if (!MaySucceed(error) || traveller.tries == kMostTries || IsStillSeen(&traveller, error))
            return Raised(&traveller, error);
        traveller.again = psprintf("tried again: %s", ReadableMessage(error));
        done = {};
        error = InTransaction(Look, &traveller);  // says so while it waits
        if (error == NULL) error = InTransaction(Pause, &traveller);
        if (error != NULL) return Raised(&traveller, error);
    }
}
