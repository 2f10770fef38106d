// vm_create_pool, vm_drop_pool: children made once, each serving one project after another.
#include "pg/child/child_lock.h"
#include "pg/child/child_rows.h"
#include "pg/child/drop_child.h"
#include "pg/child/make_child.h"
#include "pg/project/parent.h"
#include "pg/server/tables.h"

extern "C" {
#include <storage/lmgr.h>
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_create_pool);
PG_FUNCTION_INFO_V1(vm_drop_pool);
PG_FUNCTION_INFO_V1(vm_pool_changed);
}

struct Pool {
    Oid schema;
    Parent* parent;
    int wanted;
    List* free;  // children that serve nobody, to be dropped
};

static void RequireParent(const Parent* parent) {
    Relation rel = relation_open(parent->parent, AccessShareLock);
    RequireOwner(rel);
    relation_close(rel, NoLock);
}

static void AddToPool(const Pool* pool, Oid child) {
    SqlArg args[] = {OidArg(REGCLASSOID, child), TextArg(pool->parent->entity)};
    RunAsOwner(
        pool->schema,
        psprintf("INSERT INTO %s (child, entity) VALUES ($1, $2)", ExtensionName(pool->schema, "vm_pool")),
        args, 2, 0);
}

static void MakeChildren(void* arg) {
    Pool* pool = (Pool*)arg;
    Oid parent = pool->parent->parent;
    MakeWay(parent);
    int number = 0;
    for (int made = 0; made < pool->wanted; made++) {
        CHECK_FOR_INTERRUPTS();
        char* name;
        do name = ChildName(get_rel_name(parent), "pool", psprintf("%d", ++number));
        while (OidIsValid(get_relname_relid(name, get_rel_namespace(parent))));
        NewChild wanted = {pool->schema, parent, pool->parent->mapping, NULL, NULL, name};
        AddToPool(pool, MakeChild(&wanted));
    }
}

// The pool's children that serve nobody, their rows locked: none of them is given to a project meanwhile.
static List* FreeChildren(Oid schema, const char* entity) {
    MemoryContext caller = CurrentMemoryContext;
    Oid types[] = {TEXTOID};
    Datum values[] = {CStringGetTextDatum(entity)};
    List* children = NIL;
    AsOwner owner = EnterAsOwner(schema);
    RunSql(psprintf("SELECT FROM %s WHERE entity = %s FOR UPDATE", ExtensionName(schema, "vm_pool"),
                    quote_literal_cstr(entity)),
           NULL, 0, 0);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute_with_args(
        psprintf("SELECT p.child::oid FROM %s p WHERE p.entity = $1 AND NOT EXISTS (SELECT FROM %s e WHERE "
                 "e.child = p.child) ORDER BY p.child",
                 ExtensionName(schema, "vm_pool"), ExtensionName(schema, "vm_project_entity")),
        1, types, values, NULL, false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
    for (uint64 i = 0; i < SPI_processed; i++) {
        bool null;
        Datum child = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null);
        MemoryContext spi = MemoryContextSwitchTo(caller);
        children = lappend_oid(children, DatumGetObjectId(child));
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    LeaveAsOwner(owner);
    return children;
}

static void RequireEmpty(Relation rel) {
    ChildRows rows = CountRows(rel);
    if (rows.all > 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("child %s of the pool is not empty", QualifiedName(RelationGetRelid(rel))),
                        errdetail_plural("It serves no project and has %lld row. Nothing was dropped.",
                                         "It serves no project and has %lld rows. Nothing was dropped.",
                                         (unsigned long)rows.all, (long long)rows.all),
                        errhint("See whose they are, and delete them.")));
}

static void DropChildren(void* arg) {
    const Pool* pool = (const Pool*)arg;
    ListCell* cell;
    foreach (cell, pool->free) MakeWay(lfirst_oid(cell));
    foreach (cell, pool->free) LockRelationOid(lfirst_oid(cell), AccessExclusiveLock);
    foreach (cell, pool->free) {
        Oid child = lfirst_oid(cell);
        Relation rel = try_relation_open(child, NoLock);
        if (rel == NULL) continue;
        RequireEmpty(rel);
        RequireForgotten(pool->schema, rel, false);
        relation_close(rel, NoLock);
        DropChild(pool->schema, child);
    }
}

// Takes them out of the list, whether their tables stood or not; how many still serve a project.
static int64 TakeOut(const Pool* pool) {
    SqlArg args[] = {TextArg(pool->parent->entity)};
    char* table = ExtensionName(pool->schema, "vm_pool");
    AsOwner owner = EnterAsOwner(pool->schema);
    RunSql(
        psprintf("DELETE FROM %s p WHERE p.entity = $1 AND p.child NOT IN (SELECT oid FROM pg_class)", table),
        args, 1, 0);
    SqlResult rest = RunSql(psprintf("SELECT count(*) FROM %s WHERE entity = $1", table), args, 1, 1);
    LeaveAsOwner(owner);
    return DatumGetInt64(rest.value[0]);
}

// Every session looks up anew whom a child serves, once this transaction commits.
static void Invalidate(HeapTuple row, TupleDesc desc) {
    if (row == NULL) return;
    bool null;
    Datum child = heap_getattr(row, SPI_fnumber(desc, "child"), desc, &null);
    if (!null && SearchSysCacheExists1(RELOID, child))
        CacheInvalidateRelcacheByRelid(DatumGetObjectId(child));
}

extern "C" {

// Row trigger of vm_pool and vm_project_entity, so that whoever changes them need not think of it.
Datum vm_pool_changed(PG_FUNCTION_ARGS) {
    TriggerData* trigger = (TriggerData*)fcinfo->context;
    if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "vm_pool_changed is a trigger function");
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    Invalidate(trigger->tg_trigtuple, desc);
    if (TRIGGER_FIRED_BY_UPDATE(trigger->tg_event)) Invalidate(trigger->tg_newtuple, desc);
    PG_RETURN_POINTER(NULL);
}

// vm_create_pool(entity, children) → how many were made: <parent>_pool_1 and so on, in the parent's schema.
// All of them are locks of one transaction: some hundreds at a time. Errors: the entity is not registered,
// no positive number (22023); the parent is not the caller's (42501); it cannot be locked (55P03).
Datum vm_create_pool(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    PreventCommandIfReadOnly("vm_create_pool()");
    Oid schema = ExtensionSchema(fcinfo);
    if (PG_GETARG_INT32(1) < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("a pool cannot have %d children", PG_GETARG_INT32(1))));
    LockParents(schema, false);
    Pool pool = {schema, RegisteredParent(schema, text_to_cstring(PG_GETARG_TEXT_PP(0))), PG_GETARG_INT32(1),
                 NIL};
    RequireParent(pool.parent);
    Gently(MakeChildren, &pool, QualifiedName(pool.parent->parent));
    PG_RETURN_INT32(pool.wanted);
}

// vm_drop_pool(entity) → how many children were dropped: those that serve no project. Errors: the entity is
// not registered (22023); one has rows (55000); one cannot be locked (55P03), or is not the caller's (42501).
// Nothing is dropped then.
Datum vm_drop_pool(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    PreventCommandIfReadOnly("vm_drop_pool()");
    RequireReadCommitted("vm_drop_pool()");
    Oid schema = ExtensionSchema(fcinfo);
    Pool pool = {schema, RegisteredParent(schema, text_to_cstring(PG_GETARG_TEXT_PP(0))), 0, NIL};
    List* children = FreeChildren(schema, pool.parent->entity);
    ListCell* cell;
    foreach (cell, children) {
        Relation rel = try_relation_open(lfirst_oid(cell), AccessShareLock);
        if (rel == NULL) continue;
        RequireOwner(rel);
        RequireEmpty(rel);
        RequireForgotten(schema, rel, true);
        relation_close(rel, AccessShareLock);
        pool.free = lappend_oid(pool.free, lfirst_oid(cell));
    }
    if (pool.free != NIL)
        Gently(DropChildren, &pool, psprintf("a child of the pool of entity \"%s\"", pool.parent->entity));
    int64 serving = TakeOut(&pool);
    if (serving > 0)
        ereport(NOTICE,
                (errmsg_plural("%lld child of the pool of entity \"%s\" still serves a project and stays",
                               "%lld children of the pool of entity \"%s\" still serve a project and stay",
                               (unsigned long)serving, (long long)serving, pool.parent->entity)));
    PG_RETURN_INT32(list_length(pool.free));
}
}
