// vm_prepare: a child for each entity of a project.
//
// Locks, until the caller's transaction ends, so let that be a short one: the project's row. Where a child is
// made: the parent against DDL, VACUUM and other children that are made, and the tables that its foreign keys
// refer to against writers. Where one is taken from a pool: that one against writers. No reader waits, and a
// writer waits behind it for 200 ms at most; then vm_prepare lets go and tries again.
#include "pg/child/child_columns.h"
#include "pg/child/child_lock.h"
#include "pg/child/make_child.h"
#include "pg/project/parent.h"
#include "pg/mapping/plan_cache.h"
#include "pg/child/pool_child.h"
#include "pg/server/tables.h"
#include "pg/switch/flag.h"

extern "C" {
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_prepare);
}

struct Preparation {
    Oid schema;
    char* tenant;
    char* project;
    List* entities;
};

// Finished: its child went with its last row. Prepared: its child stands.
static bool IsFinished(const ProjectEntity* entity) {
    return entity->done[(int)Step::Finish] && !OidIsValid(entity->child);
}

static bool IsPrepared(const ProjectEntity* entity) {
    return TableStands(entity->child);
}

static bool IsChildOf(Oid schema, Oid child, Oid parent) {
    SqlArg args[] = {OidArg(REGCLASSOID, child), OidArg(REGCLASSOID, parent)};
    SqlResult is =
        RunAsOwner(schema,
                   psprintf("SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = $1 AND inhparent "
                            "= $2) OR EXISTS (SELECT FROM %s WHERE child = $1 AND parent = $2)",
                            ExtensionName(schema, "vm_child")),
                   args, 2, 1);
    return DatumGetBool(is.value[0]);
}

// Why a child's triggers do not do their work, and the statement that mends it; NULL if they do. Those of
// ours must be ENABLE ALWAYS: a feed that sets session_replication_role to replica would store rows with
// nothing in their columns.
static const char* SilentTrigger(const Preparation* work, Relation rel, const char** statement) {
    for (int i = 0; i < rel->trigdesc->numtriggers; i++) {
        const Trigger* trigger = &rel->trigdesc->triggers[i];
        bool own = get_func_namespace(trigger->tgfoid) == work->schema;
        if (trigger->tgenabled == TRIGGER_FIRES_ALWAYS || (!own && trigger->tgenabled != TRIGGER_DISABLED))
            continue;
        *statement = psprintf("ALTER TABLE %s ENABLE %sTRIGGER %s;", QualifiedName(RelationGetRelid(rel)),
                              own ? "ALWAYS " : "", quote_identifier(trigger->tgname));
        return trigger->tgenabled == TRIGGER_DISABLED
                   ? psprintf("Its trigger %s is disabled.", trigger->tgname)
                   : psprintf(
                         "Its trigger %s is not ENABLE ALWAYS: a feed that sets "
                         "session_replication_role would pass it by.",
                         trigger->tgname);
    }
    return NULL;
}

// Why a table of the child's name is not the child that would be made; NULL if it is. *others: it is another
// project's, or a pool's. *statement: what mends it, if anything does.
static const char* Misfit(const Preparation* work, const Parent* parent, Relation rel, bool* others,
                          const char** statement) {
    Oid child = RelationGetRelid(rel);
    char** args;
    int nargs;
    if (rel->rd_rel->relkind != RELKIND_RELATION || !IsChildOf(work->schema, child, parent->parent))
        return psprintf("It is no child of %s.", QualifiedName(parent->parent));
    if (get_attnum(child, "_doc") == InvalidAttrNumber) return "It has no column _doc.";
    char* mapping = MappingOfChild(work->schema, rel, &args, &nargs);
    if (mapping == NULL) return "It has no transform trigger.";
    if (strcmp(mapping, parent->mapping) != 0)
        return psprintf("Its trigger names the mapping \"%s\", not \"%s\".", mapping, parent->mapping);
    *others = nargs < 2 || strcmp(args[0], work->tenant) != 0 || strcmp(args[1], work->project) != 0;
    if (*others) return "Its trigger names another tenant or project.";
    return SilentTrigger(work, rel, statement);
}

// The child's name, and the child, if it was made before: else InvalidOid. Errors: a table of that name is no
// child, or not this one (42P07); it has not the parent's columns (55000).
static Oid FindMade(const Preparation* work, const Parent* parent, char** name) {
    const char* table = get_rel_name(parent->parent);
    Oid schema = get_rel_namespace(parent->parent);
    char* names[] = {ChildName(table, work->tenant, work->project),
                     DistinctChildName(table, work->tenant, work->project)};
    for (int i = 0;; i++) {
        *name = names[i];
        Oid child = get_relname_relid(names[i], schema);
        if (!OidIsValid(child)) return InvalidOid;
        bool others = false;
        const char* statement = "See what it is for; then rename it, or drop it.";
        Relation rel = relation_open(child, AccessShareLock);
        const char* why = Misfit(work, parent, rel, &others, &statement);
        if (why == NULL) {
            RequireOwner(rel);
            RequireColumns(parent->parent, rel);
        }
        relation_close(rel, NoLock);
        if (why == NULL) return child;
        if (others && i == 0) continue;
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE),
                        errmsg("table %s stands where the child of entity \"%s\" is to be made",
                               QualifiedName(child), parent->entity),
                        errdetail("%s", why), errhint("%s", statement)));
    }
}

// The child was dropped by hand. What was done with it does not count for the next. Of one that was switched
// the feed was at work, whether its start was recorded or not.
static void ForgetLost(const Preparation* work, const ProjectEntity* entity) {
    const char* name = entity->parent.entity;
    bool fed = entity->done[(int)Step::FeedStart] || entity->done[(int)Step::Switch];
    for (int i = (int)Step::FeedStart; i <= (int)Step::Finish; i++)
        if ((Step)i == Step::FeedStart ? fed : entity->done[i] && (Step)i != Step::Switch)
            TakeBackStep(work->schema, work->tenant, work->project, name, (Step)i, "its child was dropped");
    SqlArg args[] = {OidArg(REGCLASSOID, entity->child)};
    RunAsOwner(work->schema,
               psprintf("DELETE FROM %s WHERE child = $1", ExtensionName(work->schema, "vm_pool")), args, 1,
               0);
}

// Writes whose child it is, after the step, which makes the row.
static void NoteChild(const Preparation* work, ProjectEntity* entity, const char* found) {
    const char* name = entity->parent.entity;
    RecordStep(work->schema, work->tenant, work->project, name, Step::Prepare, true, found, NULL);
    SqlArg args[] = {TextArg(work->tenant),
                     TextArg(work->project),
                     TextArg(name),
                     OidArg(REGCLASSOID, entity->child),
                     {BOOLOID, BoolGetDatum(entity->pooled), false}};
    RunAsOwner(
        work->schema,
        psprintf("UPDATE %s SET child = $4, pooled = $5 WHERE tenant = $1 AND project = $2 AND entity = $3",
                 ExtensionName(work->schema, "vm_project_entity")),
        args, lengthof(args), 0);
}

static void RequireParent(const Preparation* work, const Parent* parent) {
    Relation rel = try_relation_open(parent->parent, AccessShareLock);
    if (rel == NULL)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                        errmsg("the table of entity \"%s\" does not exist any more", parent->entity),
                        errhint("Register its table anew with %s, or take the entity out with %s.",
                                ExtensionName(work->schema, "vm_register_parent"),
                                ExtensionName(work->schema, "vm_unregister_parent"))));
    RequireOwner(rel);
    relation_close(rel, NoLock);
}

// What the step found, for people.
static const char* GiveChild(const Preparation* work, ProjectEntity* entity) {
    const Parent* parent = &entity->parent;
    char* name;
    RequireParent(work, parent);
    entity->pooled = false;
    entity->child = FindMade(work, parent, &name);
    if (OidIsValid(entity->child)) {
        ereport(NOTICE, (errmsg("%s was there already and is taken as the child of entity \"%s\"",
                                QualifiedName(entity->child), parent->entity)));
        return psprintf("%s, which was there", QualifiedName(entity->child));
    }
    entity->child = TakeFromPool(work->schema, parent, work->tenant, work->project);
    if (OidIsValid(entity->child)) {
        entity->pooled = true;
        return psprintf("%s of the pool", QualifiedName(entity->child));
    }
    MakeWay(parent->parent);
    NewChild wanted = {work->schema, parent->parent, parent->mapping, work->tenant, work->project, name};
    entity->child = MakeChild(&wanted);
    return QualifiedName(entity->child);
}

static void Prepare(void* arg) {
    Preparation* work = (Preparation*)arg;
    ListCell* cell;
    foreach (cell, work->entities) {
        // A copy: if this is tried again it begins as it was.
        ProjectEntity* entity = (ProjectEntity*)palloc(sizeof(ProjectEntity));
        *entity = *(ProjectEntity*)lfirst(cell);
        if (IsFinished(entity) || IsPrepared(entity)) continue;
        if (OidIsValid(entity->child)) ForgetLost(work, entity);
        const char* found = GiveChild(work, entity);
        NoteChild(work, entity, found);
    }
}

// Nothing is to be fed any more where applications write already, unless somebody knows better.
static void WarnIfLive(const Preparation* work, const ProjectEntity* entity) {
    const char* name = entity->parent.entity;
    if (!ReadFlag(work->schema, work->tenant, work->project, name, NULL)) return;
    ereport(WARNING, (errmsg("entity \"%s\" of project %s of tenant %s is switched over and has no child",
                             name, work->project, work->tenant),
                      errdetail("It gets one: what a feed writes to it comes beside what applications have "
                                "written since."),
                      errhint("See what was done: SELECT * FROM %s WHERE tenant = %s AND project = %s;",
                              ExtensionName(work->schema, "vm_history"), quote_literal_cstr(work->tenant),
                              quote_literal_cstr(work->project))));
}

static void Put(ReturnSetInfo* result, const ProjectEntity* entity) {
    Datum values[] = {CStringGetTextDatum(entity->parent.entity), ObjectIdGetDatum(entity->child)};
    bool nulls[] = {false, !OidIsValid(entity->child)};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

extern "C" {

// vm_prepare(tenant, project) → (entity, child) of every registered parent, in move order. What is prepared
// already stays as it is; child is NULL of what is finished. Errors: no such project, no parent (22023); a
// parent is gone (42P01) or not the caller's (42501); a table stands in the way (42P07); no child of the pool
// is free, or a child has not its parent's columns (55000); a table cannot be locked (55P03). Nothing is left
// behind then.
Datum vm_prepare(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    PreventCommandIfReadOnly("vm_prepare()");
    RequireReadCommitted("vm_prepare()");
    InitMaterializedSRF(fcinfo, 0);
    Oid schema = ExtensionSchema(fcinfo);
    Preparation work = {schema, text_to_cstring(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
                        NIL};
    LockParents(schema, false);
    work.entities = ProjectEntities(schema, work.tenant, work.project, NULL, true);
    bool all = true;
    ListCell* cell;
    foreach (cell, work.entities) {
        ProjectEntity* entity = (ProjectEntity*)lfirst(cell);
        all &= IsFinished(entity) || IsPrepared(entity);
        if (!OidIsValid(entity->child) && !IsFinished(entity)) WarnIfLive(&work, entity);
        if (OidIsValid(entity->child) && !IsPrepared(entity))
            ereport(WARNING, (errmsg("the child of entity \"%s\" for project %s of tenant %s was dropped",
                                     entity->parent.entity, work.project, work.tenant),
                              errdetail("It gets another one, and the feed has to begin anew.")));
    }
    if (!all) {
        Gently(Prepare, &work,
               psprintf("a table that project %s of tenant %s needs", work.project, work.tenant));
        work.entities = ProjectEntities(schema, work.tenant, work.project, NULL, false);
    }
    foreach (cell, work.entities) {
        ProjectEntity* entity = (ProjectEntity*)lfirst(cell);
        if (IsFinished(entity))
            ereport(NOTICE, (errmsg("entity \"%s\" of project %s of tenant %s is finished already",
                                    entity->parent.entity, work.project, work.tenant)));
        Put((ReturnSetInfo*)fcinfo->resultinfo, entity);
    }
    return (Datum)0;
}
}
