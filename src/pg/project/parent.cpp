// vm_register_parent, vm_unregister_parent: the tables that take part in every project's migration.
#include "pg/project/parent.h"

#include "pg/server/caught.h"
#include "pg/check/check_condition.h"
#include "pg/child/child_lock.h"
#include "pg/child/make_child.h"
#include "pg/mapping/plan_cache.h"
#include "pg/move/move_target.h"
#include "pg/server/tables.h"

extern "C" {
#include <parser/scansup.h>
#include <storage/lmgr.h>
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_register_parent);
PG_FUNCTION_INFO_V1(vm_unregister_parent);
}

void LockParents(Oid schema, bool change) {
    LockRelationOid(ExtensionTable(schema, "vm_parent"), change ? ShareRowExclusiveLock : RowExclusiveLock);
}

Parent* FindParent(Oid schema, const char* entity) {
    SqlArg args[] = {TextArg(entity)};
    SqlResult found =
        RunAsOwner(schema,
                   psprintf("SELECT parent::oid, mapping, closed, move_active = 'before_switch' "
                            "FROM %s WHERE entity = $1",
                            ExtensionName(schema, "vm_parent")),
                   args, 1, 4);
    if (!found.found) return NULL;
    Parent* parent = (Parent*)palloc0(sizeof(Parent));
    parent->entity = pstrdup(entity);
    parent->parent = DatumGetObjectId(found.value[0]);
    parent->mapping = TextDatumGetCString(found.value[1]);
    parent->closed = found.null[2] ? NULL : TextDatumGetCString(found.value[2]);
    parent->active_before_switch = DatumGetBool(found.value[3]);
    return parent;
}

Parent* RegisteredParent(Oid schema, const char* entity) {
    Parent* parent = FindParent(schema, entity);
    if (parent == NULL) RaiseNoEntity(schema, entity);
    return parent;
}

// Projects whose rows have something to do with the entity's table: the source is checked without it.
static const char* const kBegun =
    "(child IS NOT NULL OR num_nonnulls(prepare_at, feed_start_at, check_at, move_closed_at, switch_at, "
    "anomaly_check_at, move_at, feed_stop_at, finish_at) > 0)";

// How many children of an entity serve a project, and how many its pool has; tables that are gone do not
// count. How many projects have begun with it, finished ones among them.
struct Use {
    int64 serving;
    int64 pooled;
    int64 begun;
};

static Use UseOf(Oid schema, const char* entity) {
    SqlArg args[] = {TextArg(entity)};
    SqlResult counts = RunAsOwner(
        schema,
        psprintf("SELECT count(*) FILTER (WHERE child IN (SELECT oid FROM pg_class)), (SELECT count(*) FROM "
                 "%s p WHERE p.entity = $1 AND p.child IN (SELECT oid FROM pg_class)), count(*) FILTER "
                 "(WHERE %s) FROM %s WHERE entity = $1",
                 ExtensionName(schema, "vm_pool"), kBegun, ExtensionName(schema, "vm_project_entity")),
        args, 1, 3);
    return {DatumGetInt64(counts.value[0]), DatumGetInt64(counts.value[1]), DatumGetInt64(counts.value[2])};
}

// What children were made of, and by what, stays while there are any.
static void RequireNoPool(Oid schema, const char* entity, const Use* use, const char* what) {
    if (use->pooled > 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("entity \"%s\" has a pool of children: %s", entity, what),
                        errdetail("Its pool has %lld.", (long long)use->pooled),
                        errhint("SELECT %s(%s);", ExtensionName(schema, "vm_drop_pool"),
                                quote_literal_cstr(entity))));
}

static void RequireNoChildren(Oid schema, const char* entity, const char* what) {
    Use use = UseOf(schema, entity);
    RequireNoPool(schema, entity, &use, what);
    if (use.serving > 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("projects have children of entity \"%s\": %s", entity, what),
                        errdetail_plural("There is %lld.", "There are %lld.", (unsigned long)use.serving,
                                         (long long)use.serving),
                        errhint("Finish these projects first, see %s.", ExtensionName(schema, "vm_finish"))));
}

struct ClosedTrial {
    const char* closed;
    const char* table;
};

// In WHERE, which takes no aggregates or sets; under another name, so that it fits the children too.
static void TryClosed(void* arg) {
    ClosedTrial* trial = (ClosedTrial*)arg;
    SPIPlanPtr plan;
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    plan = SPI_prepare(psprintf("SELECT FROM ONLY %s vm_p WHERE (%s\n) IS TRUE", trial->table, trial->closed),
                       0, NULL);
    if (plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    SPI_finish();
}

static void CheckClosed(const char* entity, const char* closed, Relation rel) {
    ClosedTrial trial = {closed, QualifiedName(RelationGetRelid(rel))};
    SafePath path = EnterSafePath();
    ErrorData* error = TrySyntax(closed);
    if (error == NULL) error = RunCaught(TryClosed, &trial);
    LeaveSafePath(path);
    if (error == NULL) return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("entity \"%s\": closed does not fit table %s", entity, trial.table),
                    errdetail("%s", ReadableMessage(error)),
                    errhint("It is one boolean expression over the table's columns; names outside pg_catalog "
                            "must be qualified. false: no row is closed.")));
}

static bool SaysFalse(const char* closed) {
    while (scanner_isspace(*closed)) closed++;
    if (pg_strncasecmp(closed, "false", 5) != 0) return false;
    for (closed += 5; scanner_isspace(*closed);) closed++;
    return *closed == '\0';
}

// The expression to store, or NULL for none: a boolean column `deleted` where nothing is given.
static char* ClosedOf(const char* entity, char* given, Relation rel) {
    if (given != NULL && SaysFalse(given)) return NULL;
    if (given != NULL) {
        CheckClosed(entity, given, rel);
        return given;
    }
    AttrNumber deleted = get_attnum(RelationGetRelid(rel), "deleted");
    if (deleted == InvalidAttrNumber) return NULL;
    Oid type = TupleDescAttr(RelationGetDescr(rel), deleted - 1)->atttypid;
    return getBaseType(type) == BOOLOID ? pstrdup("deleted") : NULL;
}

static void CheckMoveActive(const char* entity, const char* word) {
    if (strcmp(word, "after_switch") == 0 || strcmp(word, "before_switch") == 0) return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("entity \"%s\": move_active cannot be \"%s\"", entity, word),
                    errhint("after_switch: rows that may still change move once applications write to "
                            "PostgreSQL. before_switch: all rows move before.")));
}

// The mapping exists and fits the table, as far as that can be told without a project.
static void CheckMapping(Oid schema, const char* mapping, Relation rel) {
    CompiledMapping* compiled = CompileMapping(schema, mapping, rel, NULL, -1, CurrentMemoryContext);
    MemoryContextDelete(compiled->context);
}

// It may still get one: before the switch, which asks for it.
static void WarnWithoutKey(Relation rel) {
    SafePath path = EnterSafePath();
    Oid key = FindKeyIndex(RelationGetRelid(rel));
    LeaveSafePath(path);
    if (OidIsValid(key)) return;
    ereport(WARNING,
            (errmsg("table %s has no primary key or unique index to move by",
                    QualifiedName(RelationGetRelid(rel))),
             errdetail("Without one nothing says which rows of child and parent are the same. Its rows "
                       "cannot be moved, and projects are not switched."),
             errhint("Give it a primary key, or a unique index on NOT NULL columns that are no identity.")));
}

// Another table for an entity that there is: a slip, like vm_register_parent('vouchers', 'campaign'), more
// often than not.
static void CheckTable(Oid schema, const Parent* old, Oid parent) {
    const char* entity = old->entity;
    bool gone = get_rel_name(old->parent) == NULL;
    Use use = UseOf(schema, entity);
    RequireNoPool(schema, entity, &use, "its parent cannot be another table");
    if (use.serving > 0 || (use.begun > 0 && !gone))
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg(use.serving > 0
                        ? "projects have children of entity \"%s\": its parent cannot be another table"
                        : "projects have begun with entity \"%s\": its parent cannot be another table",
                    entity),
             errdetail("It is table %s, and was to become %s. There are %lld.",
                       gone ? "that is gone" : QualifiedName(old->parent), QualifiedName(parent),
                       (long long)(use.serving > 0 ? use.serving : use.begun)),
             errhint("A table is an entity of its own: give it a name with entity => '...'. If this entity "
                     "is to be that table, finish or remove these projects, then take it out: SELECT %s(%s);",
                     ExtensionName(schema, "vm_unregister_parent"), quote_literal_cstr(entity))));
    if (gone)
        ereport(NOTICE, (errmsg("entity \"%s\" is table %s from now on; the one it was is gone", entity,
                                QualifiedName(parent))));
    else
        ereport(NOTICE, (errmsg("entity \"%s\" is table %s from now on, and no longer %s", entity,
                                QualifiedName(parent), QualifiedName(old->parent)),
                         errhint("If it was to be an entity of its own, register %s again, and give this one "
                                 "a name with entity => '...'.",
                                 QualifiedName(old->parent))));
}

static void CheckChange(Oid schema, const Parent* old, Oid parent, const char* mapping) {
    if (old->parent != parent) CheckTable(schema, old, parent);
    if (strcmp(old->mapping, mapping) == 0) return;
    Use use = UseOf(schema, old->entity);
    RequireNoPool(schema, old->entity, &use, "their mapping cannot be another");
}

static void RequireFree(Oid schema, Oid parent, const char* entity) {
    SqlArg args[] = {OidArg(REGCLASSOID, parent), TextArg(entity)};
    SqlResult other = RunAsOwner(schema,
                                 psprintf("SELECT entity FROM %s WHERE parent = $1 AND entity <> $2",
                                          ExtensionName(schema, "vm_parent")),
                                 args, 2, 1);
    if (other.found)
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_OBJECT),
                        errmsg("table %s is registered as entity \"%s\"", QualifiedName(parent),
                               TextDatumGetCString(other.value[0])),
                        errhint("A table is one entity. Unregister it first, or give that name.")));
}

extern "C" {

// vm_register_parent(parent, mapping, entity, closed, move_order, move_active, source_collection,
// source_database) → the entity. The same entity again: its settings are replaced; with another table a
// NOTICE says so. Errors: no parent (42809, 0A000) or not the caller's (42501); no such mapping (42704), or
// it does not fit (22023); closed or move_active mean nothing (22023); the table is another entity (42710); a
// pool, or with another table projects that have begun, are in the way (55000).
Datum vm_register_parent(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    RequireArgument(fcinfo, 5);
    PreventCommandIfReadOnly("vm_register_parent()");
    Oid schema = ExtensionSchema(fcinfo), parent = PG_GETARG_OID(0);
    char* mapping = text_to_cstring(PG_GETARG_TEXT_PP(1));
    char* entity = PG_ARGISNULL(2) ? mapping : text_to_cstring(PG_GETARG_TEXT_PP(2));
    char* move_active = text_to_cstring(PG_GETARG_TEXT_PP(5));
    if (entity[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("an entity needs a name")));
    Relation rel = relation_open(parent, AccessShareLock);
    RequireOwner(rel);
    CheckParent(rel);
    if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("table %s cannot be a parent", RelationGetRelationName(rel)),
                        errdetail("It is a temporary table, which no other session sees.")));
    CheckMapping(schema, mapping, rel);
    WarnWithoutKey(rel);
    CheckMoveActive(entity, move_active);
    char* closed = ClosedOf(entity, TextArgument(fcinfo, 3), rel);
    char* collection = PG_ARGISNULL(6) ? psprintf("%s-{tenant}-{project}", RelationGetRelationName(rel))
                                       : text_to_cstring(PG_GETARG_TEXT_PP(6));
    if (collection[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("entity \"%s\": a collection needs a name", entity)));

    LockParents(schema, true);
    RequireFree(schema, parent, entity);
    Parent* old = FindParent(schema, entity);
    if (old != NULL) CheckChange(schema, old, parent, mapping);
    SqlArg args[] = {TextArg(entity),
                     OidArg(REGCLASSOID, parent),
                     TextArg(mapping),
                     {INT4OID, PG_GETARG_DATUM(4), PG_ARGISNULL(4)},
                     TextArg(closed),
                     TextArg(move_active),
                     TextArg(collection),
                     {TEXTOID, PG_GETARG_DATUM(7), PG_ARGISNULL(7)},
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    char* table = ExtensionName(schema, "vm_parent");
    RunAsOwner(
        schema,
        psprintf("INSERT INTO %s (entity, parent, mapping, move_order, closed, move_active, "
                 "source_collection, source_database, registered_by) VALUES ($1, $2, $3, coalesce($4, "
                 "(SELECT move_order FROM %s WHERE entity = $1), (SELECT max(move_order) + 1 FROM %s), "
                 "1), $5, $6, $7, $8, $9) ON CONFLICT (entity) DO UPDATE SET parent = excluded.parent, "
                 "mapping = excluded.mapping, move_order = excluded.move_order, closed = excluded.closed, "
                 "move_active = excluded.move_active, source_collection = excluded.source_collection, "
                 "source_database = excluded.source_database, registered_by = excluded.registered_by, "
                 "registered_at = now()",
                 table, table, table),
        args, lengthof(args), 0);
    relation_close(rel, NoLock);
    PG_RETURN_TEXT_P(cstring_to_text(entity));
}

// vm_unregister_parent(entity). What was recorded of its projects stays in vm_history, and in
// vm_project_entity what the flag stands for: registered again, its projects are as far as they were. Errors:
// not registered (22023); its table is not the caller's (42501); projects are not finished, or it has a pool
// (55000).
Datum vm_unregister_parent(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    PreventCommandIfReadOnly("vm_unregister_parent()");
    Oid schema = ExtensionSchema(fcinfo);
    char* entity = text_to_cstring(PG_GETARG_TEXT_PP(0));
    LockParents(schema, true);
    Parent* parent = RegisteredParent(schema, entity);
    Relation rel = try_relation_open(parent->parent, AccessShareLock);
    if (rel != NULL) RequireOwner(rel);
    RequireNoChildren(schema, entity, "it cannot be unregistered");
    SqlArg args[] = {TextArg(entity), {BOOLOID, BoolGetDatum(rel == NULL), false}};
    char* entities = ExtensionName(schema, "vm_project_entity");
    AsOwner owner = EnterAsOwner(schema);
    // With its table gone there is nothing left to finish.
    SqlResult open = RunSql(psprintf("SELECT tenant, project, count(*) OVER () FROM %s WHERE entity = $1 AND "
                                     "finish_at IS NULL AND %s AND NOT $2 ORDER BY tenant, project LIMIT 1",
                                     entities, kBegun),
                            args, 2, 3);
    if (open.found)
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("projects are under way with entity \"%s\": it cannot be unregistered", entity),
             errdetail_plural(
                 "There is %lld: project %s of tenant %s.", "There are %lld; one is project %s of tenant %s.",
                 (unsigned long)DatumGetInt64(open.value[2]), (long long)DatumGetInt64(open.value[2]),
                 TextDatumGetCString(open.value[1]), TextDatumGetCString(open.value[0])),
             errhint("Finish these projects first, see %s.", ExtensionName(schema, "vm_finish"))));
    // What neither ended nor went live with the table has nothing left to go on with.
    RunSql(psprintf("DELETE FROM %s WHERE entity = $1 AND finish_at IS NULL AND switch_at IS NULL AND %s",
                    entities, kBegun),
           args, 1, 0);
    RunSql(psprintf("DELETE FROM %s WHERE entity = $1", ExtensionName(schema, "vm_pool")), args, 1, 0);
    RunSql(psprintf("DELETE FROM %s WHERE entity = $1", ExtensionName(schema, "vm_parent")), args, 1, 0);
    LeaveAsOwner(owner);
    if (rel != NULL) relation_close(rel, NoLock);
    PG_RETURN_VOID();
}
}
