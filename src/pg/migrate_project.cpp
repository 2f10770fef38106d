// One project of a CALL vm_migrate: what vm_next says is done, until something outside has to be done first.
#include "pg/caught.h"
#include "pg/migrate.h"
#include "pg/tables.h"

extern "C" {
#include <parser/analyze.h>
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
};

struct Traveller {
    Oid schema;
    const MigrateRun* run;
    const char* tenant;
    const char* project;
    MemoryContext context;
    Next next;
};

static char* TextOrNull(const SqlResult* row, int i) {
    return row->null[i] ? NULL : TextDatumGetCString(row->value[i]);
}

static void AskNext(Traveller* traveller) {
    SqlArg args[] = {TextArg(traveller->tenant), TextArg(traveller->project)};
    SqlResult row = RunSql(psprintf("SELECT step, entity, statement, why_not_yet, do_first FROM %s($1, $2)",
                                    ExtensionName(traveller->schema, "vm_next")),
                           args, 2, 5);
    MemoryContext outer = MemoryContextSwitchTo(traveller->context);
    traveller->next = Next{TextOrNull(&row, 0), TextOrNull(&row, 1), TextOrNull(&row, 2), TextOrNull(&row, 3),
                           TextOrNull(&row, 4)};
    MemoryContextSwitchTo(outer);
}

// What is on record of a step that is done outside: the caller vouches for it.
static char* RecordCall(const Traveller* traveller, const char* found) {
    return psprintf("SELECT %s(%s, %s, %s, %s)", ExtensionName(traveller->schema, "vm_record_step"),
                    quote_literal_cstr(traveller->tenant), quote_literal_cstr(traveller->project),
                    quote_literal_cstr(traveller->next.step), quote_literal_cstr(found));
}

static char* SwitchCall(const Traveller* traveller) {
    const Next* next = &traveller->next;
    return psprintf("SELECT FROM %s(%s, %s, %s, quiet_seconds => %s)",
                    ExtensionName(traveller->schema, "vm_switch"), quote_literal_cstr(traveller->tenant),
                    quote_literal_cstr(traveller->project),
                    next->entity ? quote_literal_cstr(next->entity) : "NULL", traveller->run->quiet_seconds);
}

static char* WholeCall(const Traveller* traveller) {
    SqlArg args[] = {TextArg(traveller->tenant), TextArg(traveller->project),
                     TextArg(traveller->next.entity)};
    AsOwner owner = EnterAsOwner(traveller->schema);
    SqlResult child =
        RunSql(psprintf("SELECT child FROM %s WHERE tenant = $1 AND project = $2 AND entity = $3",
                        ExtensionName(traveller->schema, "vm_project_entity")),
               args, 3, 1);
    LeaveAsOwner(owner);
    if (!child.found || child.null[0]) return traveller->next.statement;
    return psprintf("SELECT FROM %s(%s, wait_for_snapshots => false)",
                    ExtensionName(traveller->schema, "vm_move_whole"),
                    quote_literal_cstr(QualifiedName(DatumGetObjectId(child.value[0]))));
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
}

// f in a transaction of its own, which it may commit. The error, in traveller->context, or NULL.
static ErrorData* InTransaction(void (*f)(Traveller*), Traveller* traveller) {
    ErrorData* volatile error = NULL;
    PG_TRY();
    {
        SetCurrentStatementStartTimestamp();
        StartTransactionCommand();
        MemoryContextSwitchTo(traveller->context);
        f(traveller);
        CommitTransactionCommand();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(traveller->context);
        error = CopyErrorData();
        EmitErrorReport();
        FlushErrorState();
        AbortCurrentTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(traveller->context);
    return error;
}

static void Look(Traveller* traveller) {
    PushActiveSnapshot(GetTransactionSnapshot());
    AskNext(traveller);
    PopActiveSnapshot();
}

static void Go(Traveller* traveller) {
    PushActiveSnapshot(GetTransactionSnapshot());
    char* sql = StatementFor(traveller);
    PopActiveSnapshot();
    Execute(sql);
}

static MigrateEnd Ended(const char* state, const Traveller* traveller, const char* why) {
    return MigrateEnd{state, traveller->next.step, why ? pstrdup(why) : NULL};
}

static const char* FirstOf(const char* a, const char* b, const char* otherwise) {
    return a ? a : b ? b : otherwise;
}

static bool SamePlace(const Next* a, const Next* b) {
    return a->step != NULL && strcmp(a->step, b->step) == 0 && (a->entity == NULL) == (b->entity == NULL) &&
           (a->entity == NULL || strcmp(a->entity, b->entity) == 0);
}

MigrateEnd MigrateProject(Oid schema, const MigrateRun* run, const char* tenant, const char* project) {
    Traveller traveller = {schema, run, tenant, project, CurrentMemoryContext, {}};
    Next done = {};
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        ErrorData* error = InTransaction(Look, &traveller);
        if (error != NULL) return Ended("failed", &traveller, ReadableMessage(error));
        const Next* next = &traveller.next;
        if (At(&traveller, "done")) return Ended("done", &traveller, NULL);
        if (At(&traveller, "finish") && !run->finish) return Ended("done", &traveller, NULL);
        if (SamePlace(&done, next))
            return Ended("stopped", &traveller,
                         FirstOf(next->why_not_yet, next->do_first, "it did not get any further"));
        // A check that failed may pass now; whatever else is in the way is not ours to clear.
        if (next->why_not_yet != NULL && !At(&traveller, "check"))
            return Ended("stopped", &traveller, next->why_not_yet);
        if (IsOutside(&traveller) && FoundOutside(&traveller) == NULL)
            return Ended("stopped", &traveller, next->do_first);
        done = *next;
        error = InTransaction(Go, &traveller);
        if (error != NULL) return Ended("failed", &traveller, ReadableMessage(error));
    }
}
