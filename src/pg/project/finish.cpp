// vm_finish: the last step of a project. Its children are dropped, or given back to their pools, once nothing
// is left in them.
//
// Locks, until the caller's transaction ends: the project's row, and each child, ACCESS EXCLUSIVE, with the
// tables its foreign keys refer to, as DROP TABLE does; a pool's child against writers only. All children
// are waited for for 200 ms each, then all are let go, and it is tried again.
#include "pg/child/child_lock.h"
#include "pg/child/child_rows.h"
#include "pg/child/drop_child.h"
#include "pg/move/move_lock.h"
#include "pg/project/step.h"
#include "pg/server/tables.h"

extern "C" {
#include <storage/lmgr.h>
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_finish);
}

// An entity that is to be finished.
struct Ending {
    const ProjectEntity* entity;
    Oid child;
    char* name;  // of the child; its number if the table is gone
    bool stands;
    const char* found;  // for people
};

struct Finish {
    Oid schema;
    char* tenant;
    char* project;
    List* endings;
};

static void RequireSteps(const Finish* work, const ProjectEntity* entity) {
    ProjectKey key = {work->schema, work->tenant, work->project};
    const char* tenant = quote_literal_cstr(work->tenant);
    const char* project = quote_literal_cstr(work->project);
    const char* name = entity->parent.entity;
    if (!entity->done[(int)Step::Switch]) {
        // It is not done, so there is a statement.
        char* first = StatementBefore(&key, Step::Switch, list_make1((void*)entity), false);
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("entity \"%s\" of project %s of tenant %s is not switched over yet", name,
                               work->project, work->tenant),
                        errhint("%s", first)));
    }
    RequireFeedBegun(&key, Step::Finish, entity);
    if (!entity->done[(int)Step::FeedStop])
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("nobody has recorded that the feed of entity \"%s\" for project %s of tenant %s was "
                        "stopped",
                        name, work->project, work->tenant),
                 errhint("Stop it, then: SELECT %s(%s, %s, 'feed_stop');",
                         ExtensionName(work->schema, "vm_record_step"), tenant, project)));
}

// What the extension's tables have open of a child. Of a pool's child what is older than its project is not
// the project's. vm_status counts the same.
struct Open {
    int64 quarantined;
    int64 anomalies;
    int64 moves;
};

static Open CountOpen(Oid schema, Oid child) {
    SqlArg args[] = {OidArg(REGCLASSOID, child)};
    SqlResult counts = RunAsOwner(
        schema,
        psprintf(
            "SELECT (SELECT count(*) FROM %s WHERE child = $1 AND settled_at IS NULL AND operation <> "
            "'MOVE' AND last_attempt_at >= s.since) + (SELECT count(*) FROM %s WHERE child = $1 AND "
            "settled_at IS NULL AND operation = 'MOVE' AND last_attempt_at >= s.since), (SELECT count(*) "
            "FROM %s WHERE child = $1 AND resolved_at IS NULL AND last_seen_at >= s.since), (SELECT "
            "count(*) FROM %s WHERE child = $1 AND ended_at IS NULL AND state IN ('running', 'waiting')) "
            "FROM (SELECT coalesce(max(prepare_at) FILTER (WHERE pooled), '-infinity') AS since FROM %s "
            "WHERE child = $1) s",
            ExtensionName(schema, "vm_quarantine"), ExtensionName(schema, "vm_quarantine"),
            ExtensionName(schema, "vm_anomaly"), ExtensionName(schema, "vm_progress"),
            ExtensionName(schema, "vm_project_entity")),
        args, 1, 3);
    return {DatumGetInt64(counts.value[0]), DatumGetInt64(counts.value[1]), DatumGetInt64(counts.value[2])};
}

// Appends what is left of a child; the first of it decides on the hint.
static void Complain(StringInfo left, char** hint, const char* what, int64 count, char* mend) {
    if (count == 0) return;
    appendStringInfo(left, "%s%s: %lld", left->len > 0 ? "; " : "", what, (long long)count);
    if (*hint == NULL) *hint = mend;
}

static void RequireNothingLeft(const Finish* work, const Ending* ending) {
    Oid schema = work->schema;
    const char* literal = quote_literal_cstr(ending->name);
    StringInfoData left;
    initStringInfo(&left);
    char* hint = NULL;
    Open open = CountOpen(schema, ending->child);
    Complain(&left, &hint, "moves under way", open.moves,
             psprintf("SELECT %s(%s);", ExtensionName(schema, "vm_stop_move"), literal));
    if (ending->stands) {
        Relation rel = relation_open(ending->child, NoLock);
        ChildRows rows = CountRows(rel);
        relation_close(rel, NoLock);
        Complain(&left, &hint, "rows", rows.all - rows.half,
                 psprintf("CALL %s(%s);", ExtensionName(schema, "vm_move"), literal));
        Complain(&left, &hint, "rows that wait for their document", rows.half,
                 pstrdup("See at the source what became of these documents, and delete the rows."));
    }
    Complain(&left, &hint, "open in vm_quarantine", open.quarantined,
             psprintf("SELECT * FROM %s(%s); what cannot be mended is given up with %s.",
                      ExtensionName(schema, "vm_retry_quarantine"), literal,
                      ExtensionName(schema, "vm_settle_quarantine")));
    Complain(&left, &hint, "unresolved in vm_anomaly", open.anomalies,
             psprintf("SELECT %s(anomaly_id, 'what was decided'); for each, see %s.",
                      ExtensionName(schema, "vm_resolve_anomaly"), ExtensionName(schema, "vm_anomaly")));
    if (hint == NULL) return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("something is left of entity \"%s\" of project %s of tenant %s",
                           ending->entity->parent.entity, work->project, work->tenant),
                    errdetail("Child %s has %s. Nothing was changed.", ending->name, left.data),
                    errhint("%s", hint)));
}

// The child is locked, or its table is gone.
static void EndChild(const Finish* work, Ending* ending) {
    const ProjectEntity* entity = ending->entity;
    ending->stands = TableStands(ending->child);
    RequireNothingLeft(work, ending);
    if (!OidIsValid(ending->child)) {
        ending->found = "it had no child";
    } else if (!ending->stands) {
        ForgetChild(work->schema, ending->child);
        ending->found = "the table was gone already";
    } else {
        Relation rel = relation_open(ending->child, NoLock);
        RequireForgotten(work->schema, rel, false);
        relation_close(rel, NoLock);
        if (entity->pooled) {
            ForgetChild(work->schema, ending->child);
            ending->found = "empty, given back to its pool";
        } else {
            DropChild(work->schema, ending->child);
            ending->found = "empty, dropped";
        }
    }
}

static void NoteEnd(const Finish* work, const Ending* ending) {
    const char* name = ending->entity->parent.entity;
    // The number is what stays in vm_anomaly and its like of a table that is gone.
    char* found = OidIsValid(ending->child)
                      ? psprintf("%s (%u): %s", ending->name, ending->child, ending->found)
                      : pstrdup(ending->found);
    RecordStep(work->schema, work->tenant, work->project, name, Step::Finish, true, found, NULL);
    SqlArg args[] = {TextArg(work->tenant), TextArg(work->project), TextArg(name)};
    RunAsOwner(work->schema,
               psprintf("UPDATE %s SET child = NULL, pooled = false WHERE tenant = $1 AND project = $2 AND "
                        "entity = $3",
                        ExtensionName(work->schema, "vm_project_entity")),
               args, lengthof(args), 0);
}

static void End(void* arg) {
    const Finish* work = (const Finish*)arg;
    ListCell* cell;
    foreach (cell, work->endings) {
        Ending* ending = (Ending*)lfirst(cell);
        if (TableStands(ending->child)) MakeWay(ending->child);
    }
    foreach (cell, work->endings) {
        Ending* ending = (Ending*)lfirst(cell);
        if (TableStands(ending->child))
            LockRelationOid(ending->child,
                            ending->entity->pooled ? ShareRowExclusiveLock : AccessExclusiveLock);
    }
    foreach (cell, work->endings) {
        EndChild(work, (Ending*)lfirst(cell));
        NoteEnd(work, (Ending*)lfirst(cell));
    }
}

// Looks without a lock first: what refuses, refuses here, and nobody has waited.
static Ending* Begin(const Finish* work, const ProjectEntity* entity) {
    Ending* ending = (Ending*)palloc0(sizeof(Ending));
    ending->entity = entity;
    ending->child = entity->child;
    Relation rel = OidIsValid(entity->child) ? try_relation_open(entity->child, AccessShareLock) : NULL;
    ending->stands = rel != NULL;
    ending->name = rel != NULL ? QualifiedName(entity->child) : psprintf("%u", entity->child);
    if (rel != NULL) RequireOwner(rel);
    RequireNothingLeft(work, ending);
    if (rel != NULL) {
        RequireForgotten(work->schema, rel, true);
        relation_close(rel, AccessShareLock);
    }
    return ending;
}

static void Put(ReturnSetInfo* result, const Ending* ending) {
    bool nulls[] = {false, !OidIsValid(ending->child), false};
    Datum values[] = {CStringGetTextDatum(ending->entity->parent.entity),
                      nulls[1] ? (Datum)0 : CStringGetTextDatum(ending->name),
                      CStringGetTextDatum(ending->found)};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

extern "C" {

// vm_finish(tenant, project) → (entity, child, found) of every entity that is finished now, in move order;
// what was finished before is left out. Errors: no such project (22023); a step is missing, or rows,
// quarantine, anomalies or moves are left (55000); a child is not the caller's (42501), cannot be locked
// (55P03), is still seen by older snapshots (55006), or something depends on it (2BP01). Nothing is changed
// then.
Datum vm_finish(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    PreventCommandIfReadOnly("vm_finish()");
    RequireReadCommitted("vm_finish()");
    InitMaterializedSRF(fcinfo, 0);
    Oid schema = ExtensionSchema(fcinfo);
    Finish work = {schema, text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)), NIL};
    ShareMove(MoveLockOn::Finish);
    List* open = NIL;
    ListCell* cell;
    foreach (cell, ProjectEntities(schema, work.tenant, work.project, NULL, true)) {
        ProjectEntity* entity = (ProjectEntity*)lfirst(cell);
        if (!entity->done[(int)Step::Finish] || OidIsValid(entity->child)) open = lappend(open, entity);
    }
    foreach (cell, open) RequireSteps(&work, (ProjectEntity*)lfirst(cell));
    foreach (cell, open) work.endings = lappend(work.endings, Begin(&work, (ProjectEntity*)lfirst(cell)));
    if (open == NIL)
        ereport(NOTICE, (errmsg("project %s of tenant %s is finished already", work.project, work.tenant)));
    else
        Gently(End, &work, psprintf("a child of project %s of tenant %s", work.project, work.tenant));
    UnshareMove(MoveLockOn::Finish);
    foreach (cell, work.endings) Put((ReturnSetInfo*)fcinfo->resultinfo, (Ending*)lfirst(cell));
    return (Datum)0;
}
}
