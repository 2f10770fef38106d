#include "pg/child/pool_child.h"

#include "pg/child/child_columns.h"
#include "pg/child/child_lock.h"
#include "pg/child/child_rows.h"
#include "pg/mapping/plan_cache.h"
#include "pg/server/tables.h"

extern "C" {
#include <storage/lmgr.h>
#include <utils/snapmgr.h>
}

// The entity of a pool's child, with the tenant and project it serves, or NULLs; false: it is no pool's. With
// a snapshot of now: the one of a REPEATABLE READ feed may be from before the child changed hands.
static bool LookUp(Oid schema, Oid child, char** texts) {
    constexpr int kTexts = 3;
    MemoryContext caller = CurrentMemoryContext;
    Oid types[] = {OIDOID};
    Datum values[] = {ObjectIdGetDatum(child)};
    AsOwner owner = EnterAsOwner(schema);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    SPIPlanPtr plan = SPI_prepare(
        psprintf("SELECT p.entity, e.tenant, e.project FROM %s p LEFT JOIN %s e ON e.child = p.child "
                 "WHERE p.child = $1",
                 ExtensionName(schema, "vm_pool"), ExtensionName(schema, "vm_project_entity")),
        1, types);
    if (plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    int code = SPI_execute_snapshot(plan, values, NULL, snapshot, InvalidSnapshot, true, false, 1);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_snapshot failed: %s", SPI_result_code_string(code));
    bool found = SPI_processed > 0;
    for (int i = 0; i < kTexts && found; i++) {
        char* text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1);
        texts[i] = text ? MemoryContextStrdup(caller, text) : NULL;
    }
    UnregisterSnapshot(snapshot);
    SPI_finish();
    LeaveAsOwner(owner);
    return found;
}

bool ServedProject(Oid schema, Oid child, char** served) {
    char* texts[3];
    if (!LookUp(schema, child, texts)) return false;
    if (texts[1] == NULL)
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("child %s serves no project now", QualifiedName(child)),
             errdetail("It belongs to the pool of entity \"%s\". Whose document this is cannot be told, and "
                       "it was not stored.",
                       texts[0]),
             errhint("A feed writes to it only between %s and %s of its project.",
                     ExtensionName(schema, "vm_prepare"), ExtensionName(schema, "vm_finish"))));
    served[0] = texts[1];
    served[1] = texts[2];
    return true;
}

static bool HasPool(Oid schema, const char* entity) {
    SqlArg args[] = {TextArg(entity)};
    bool found = RunAsOwner(schema,
                            psprintf("SELECT true FROM %s WHERE entity = $1 AND child IN (SELECT oid FROM "
                                     "pg_class) LIMIT 1",
                                     ExtensionName(schema, "vm_pool")),
                            args, 1, 1)
                     .found;
    return found;
}

// The pool's oldest child that serves nobody, its row locked; InvalidOid if there is none, or others are just
// taking them.
static Oid FindFree(Oid schema, const char* entity) {
    SqlArg args[] = {TextArg(entity)};
    char* sql = psprintf(
        "SELECT p.child::oid FROM %s p WHERE p.entity = $1 AND p.child IN (SELECT oid FROM pg_class) "
        "AND NOT EXISTS (SELECT FROM %s e WHERE e.child = p.child) ORDER BY p.child LIMIT 1 FOR "
        "UPDATE OF p SKIP LOCKED",
        ExtensionName(schema, "vm_pool"), ExtensionName(schema, "vm_project_entity"));
    for (;;) {
        SqlResult candidate = RunAsOwner(schema, sql, args, 1, 1);
        if (!candidate.found) return InvalidOid;
        // Between that statement's snapshot and its lock another session may have taken the child.
        char* texts[3];
        Oid child = DatumGetObjectId(candidate.value[0]);
        if (LookUp(schema, child, texts) && texts[1] == NULL) return child;
    }
}

static void RequireEmpty(Relation child) {
    ChildRows rows = CountRows(child);
    if (rows.all == 0) return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("child %s of a pool serves no project and is not empty",
                           QualifiedName(RelationGetRelid(child))),
                    errdetail_plural("It has %lld row.", "It has %lld rows.", (unsigned long)rows.all,
                                     (long long)rows.all),
                    errhint("See whose they are; then delete them, or drop the table.")));
}

Oid TakeFromPool(Oid schema, const Parent* parent, const char* tenant, const char* project) {
    if (!HasPool(schema, parent->entity)) return InvalidOid;
    Oid child = FindFree(schema, parent->entity);
    if (!OidIsValid(child))
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("the pool of entity \"%s\" has no free child for project %s of tenant %s",
                        parent->entity, project, tenant),
                 errhint("Finish a project, or add children: SELECT %s(%s, 1);",
                         ExtensionName(schema, "vm_create_pool"), quote_literal_cstr(parent->entity))));
    // A feed that still writes for the project before keeps it from changing hands.
    MakeWay(child);
    Relation rel = table_open(child, ShareRowExclusiveLock);
    RequireOwner(rel);
    RequireEmpty(rel);
    RequireColumns(parent->parent, rel);
    char* args[] = {(char*)tenant, (char*)project};
    CompiledMapping* compiled = CompileMapping(schema, parent->mapping, rel, args, 2, CurrentMemoryContext);
    MemoryContextDelete(compiled->context);
    table_close(rel, NoLock);
    return child;
}
