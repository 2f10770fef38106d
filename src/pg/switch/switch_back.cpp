// vm_switch_back: applications go back to MongoDB, and what that leaves behind.
#include "pg/server/caught.h"
#include "pg/child/child_lock.h"
#include "pg/switch/flag.h"
#include "pg/move/move_target.h"
#include "pg/mapping/plan_cache.h"
#include "pg/project/move_project.h"
#include "pg/switch/switch.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_switch_back);
}

// The parent's column that the mapping fills with the trigger's nth argument, as a condition that it has
// $n; NULL if there is none.
static char* ConditionOn(Oid parent, const char* rules, int n) {
    SqlArg args[] = {TextArg(rules), OidArg(OIDOID, parent), TextArg(psprintf("%d", n))};
    SqlResult column = RunSql(
        "SELECT quote_ident(a.attname), a.atttypid IN ('text'::regtype, 'varchar'::regtype) FROM "
        "jsonb_each($1::jsonb -> 'columns') c(name, rule) JOIN pg_attribute a ON a.attrelid = $2 AND "
        "a.attname = "
        "c.name AND NOT a.attisdropped WHERE jsonb_typeof(c.rule) = 'object' AND c.rule #>> '{default,arg}' "
        "= "
        "$3 LIMIT 1",
        args, 3, 2);
    if (!column.found) return NULL;
    // Other types are compared by what they look like: without an index, but right.
    return psprintf("vm_p.%s%s = $%d", TextDatumGetCString(column.value[0]),
                    DatumGetBool(column.value[1]) ? "" : "::text", n);
}

// SQL for the project's rows, in parent and children, that are newer than the switch: $1 tenant, $2 project,
// $3 the time. NULL if the mapping does not say which rows are the project's, or which is newer.
static char* NewerRows(Oid schema, const Parent* parent) {
    char* rules = MappingRules(schema, parent->mapping);
    Relation rel = rules ? try_relation_open(parent->parent, AccessShareLock) : (Relation)NULL;
    if (rel == NULL) return NULL;
    SafePath path = EnterSafePath();
    CompiledMapping* compiled = CompileMapping(schema, parent->mapping, rel, NULL, -1, CurrentMemoryContext);
    char* tenant = ConditionOn(parent->parent, rules, 1);
    char* project = ConditionOn(parent->parent, rules, 2);
    char* sql = NULL;
    if (compiled->info.watermarks > 0 && tenant != NULL && project != NULL)
        sql = psprintf("FROM %s vm_p WHERE %s AND %s AND %s > $3", QualifiedName(parent->parent), tenant,
                       project, WatermarkSql(compiled, "vm_p"));
    MemoryContextDelete(compiled->context);
    LeaveSafePath(path);
    relation_close(rel, NoLock);
    return sql;
}

// How much was written, if that can be told.
struct Count {
    Oid schema;
    const char* tenant;
    const char* project;
    const Parent* parent;
    TimestampTz since;
    bool wanted;
    bool counted;
    int64 rows;
};

// As the caller.
static void CountRows(void* arg) {
    Count* count = (Count*)arg;
    char* from = NewerRows(count->schema, count->parent);
    if (from == NULL) return;
    SqlArg args[] = {TextArg(count->tenant),
                     TextArg(count->project),
                     {TIMESTAMPTZOID, TimestampTzGetDatum(count->since), false}};
    SafePath path = EnterSafePath();
    SqlResult row = RunSql(psprintf("SELECT count(*) %s", from), args, 3, 1);
    LeaveSafePath(path);
    count->rows = DatumGetInt64(row.value[0]);
    count->counted = true;
}

static void Warn(const Count* count, const ErrorData* error) {
    StringInfoData detail;
    initStringInfo(&detail);
    if (count->counted)
        appendStringInfo(&detail,
                         INT64_FORMAT
                         " %s changed since, by %s watermark. Rows deleted in PostgreSQL are not "
                         "among them; rows that the feed has brought since are.",
                         count->rows,
                         count->rows == 1 ? "row of the project was" : "rows of the project were",
                         count->rows == 1 ? "its" : "their");
    else if (error != NULL)
        appendStringInfo(&detail, "How many rows that is cannot be counted: %s.", ReadableMessage(error));
    else
        appendStringInfo(&detail, "How many rows that is %s.",
                         count->wanted ? "cannot be told by the mapping" : "was not counted");
    ereport(
        WARNING,
        (errmsg("what was written to %s of project %s of tenant %s since %s is not in MongoDB",
                count->parent->entity, count->project, count->tenant, timestamptz_to_str(count->since)),
         errdetail("%s", detail.data),
         errhint("Write it there before anybody relies on it, or before this transaction is committed.")));
}

static void WarnFeed(Oid schema, const char* tenant, const char* project, const ProjectEntity* entity,
                     const char* why) {
    ereport(
        WARNING,
        (errmsg("the feed of %s of project %s of tenant %s has to begin anew", entity->parent.entity, project,
                tenant),
         errdetail("%s", why),
         entity->done[(int)Step::Finish]
             ? errhint("The project begins anew with SELECT * FROM %s(%s, %s);",
                       ExtensionName(schema, "vm_prepare"), quote_literal_cstr(tenant),
                       quote_literal_cstr(project))
             : errhint("Before the next switch let it load the collection once more, then: SELECT %s(%s, %s, "
                       "'feed_start', entity => %s);",
                       ExtensionName(schema, "vm_record_step"), quote_literal_cstr(tenant),
                       quote_literal_cstr(project), quote_literal_cstr(entity->parent.entity))));
}

// One entity that is switched.
struct Back {
    Oid schema;
    const char* tenant;
    const char* project;
    const char* reason;
    ProjectEntity* entity;
    TimestampTz since;
    bool count_written;
    int lock_timeout_ms;
    ReturnSetInfo* result;
};

static void PutBack(ReturnSetInfo* result, const Count* count, TimestampTz back_at) {
    Datum values[] = {CStringGetTextDatum(count->parent->entity), Int64GetDatum(count->rows),
                      TimestampTzGetDatum(count->since), TimestampTzGetDatum(back_at)};
    bool nulls[] = {false, !count->counted, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static void SwitchBack(void* arg) {
    Back* back = (Back*)arg;
    ProjectEntity* entity = back->entity;
    int nest = NewGUCNestLevel();
    LimitLockWait(back->lock_timeout_ms);
    // A batch at hand is waited for, to see whether it moves rows; but the switch back is not refused for it.
    bool moving = OidIsValid(entity->child) && !StopMoves(entity->child, (int64)back->lock_timeout_ms * 1000);
    TimestampTz back_at = WriteFlag(back->schema, back->tenant, back->project, entity->parent.entity, false);
    const char* lost =
        TakeBackSwitch(back->schema, back->tenant, back->project, entity, back->reason, moving);
    // It must not fail because something cannot be counted.
    Count count = {back->schema, back->tenant,        back->project, &entity->parent,
                   back->since,  back->count_written, false,         0};
    ErrorData* error = count.wanted ? RunCaught(CountRows, &count) : NULL;
    AtEOXact_GUC(true, nest);
    Warn(&count, error);
    if (lost != NULL) WarnFeed(back->schema, back->tenant, back->project, entity, lost);
    PutBack(back->result, &count, back_at);
}

extern "C" {

// vm_switch_back(tenant, project, entity, reason, count_written, lock_timeout_ms) → (entity, written_since,
// switched_at, switched_back_at). Entity NULL: all of the project's that are switched. The reason is
// required. Never refused because of how far the project is: once rows have moved or the feed has stopped, a
// WARNING says that the feed has to begin anew, and that comes before the next switch. Movers that may not
// move before the switch stop: a batch at hand is waited for, and rows count as moved if it takes longer.
// Errors: 22004, 22023 without one; 55P03 if another session is at work on the project; 0A000 outside READ
// COMMITTED.
Datum vm_switch_back(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    RequireArgument(fcinfo, 3);
    RequireArgument(fcinfo, 4);
    RequireArgument(fcinfo, 5);
    PreventCommandIfReadOnly("vm_switch_back()");
    RequireReadCommitted("vm_switch_back()");
    InitMaterializedSRF(fcinfo, 0);
    Oid schema = ExtensionSchema(fcinfo);
    char* tenant = text_to_cstring(PG_GETARG_TEXT_PP(0));
    char* project = text_to_cstring(PG_GETARG_TEXT_PP(1));
    char* reason = text_to_cstring(PG_GETARG_TEXT_PP(3));
    if (IsBlank(reason))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("reason must be a reason in words")));
    int lock_timeout_ms = LockTimeoutOf(PG_GETARG_INT32(5));
    List* entities = TakeProject(schema, tenant, project, TextArgument(fcinfo, 2), lock_timeout_ms);
    ListCell* cell;
    foreach (cell, entities) {
        ProjectEntity* entity = (ProjectEntity*)lfirst(cell);
        TimestampTz since;
        if (!ReadFlag(schema, tenant, project, entity->parent.entity, &since)) {
            ereport(NOTICE, (errmsg("entity %s of project %s of tenant %s is not switched",
                                    entity->parent.entity, project, tenant)));
            continue;
        }
        Back back = {schema,
                     tenant,
                     project,
                     reason,
                     entity,
                     since,
                     PG_GETARG_BOOL(4),
                     lock_timeout_ms,
                     (ReturnSetInfo*)fcinfo->resultinfo};
        ErrorData* error = RunCaught(SwitchBack, &back);
        if (error == NULL) continue;
        if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE) ReThrowError(error);
        ereport(ERROR,
                (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
                 errmsg("another session has taken %s of project %s of tenant %s a step further",
                        entity->parent.entity, project, tenant),
                 errdetail("Its transaction, most likely a vm_move_batch or vm_move_whole, is still open. "
                           "Nothing was changed."),
                 errhint("Let it end, then try again.")));
    }
    return (Datum)0;
}
}
