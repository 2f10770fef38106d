#include "pg/child/is_child.h"

#include "pg/mapping/plan_cache.h"
#include "pg/server/tables.h"

// What may be said of a table that is taken for a child. As the owner: names come with their schemas.
static SqlResult AskParent(Oid schema, Oid table) {
    SqlArg args[] = {OidArg(REGCLASSOID, table), OidArg(OIDOID, schema)};
    SqlResult row = RunAsOwner(
        schema,
        psprintf(
            "WITH children AS (SELECT i.inhrelid AS child FROM pg_inherits i WHERE i.inhparent = $1 AND "
            "EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgrelid = "
            "i.inhrelid AND p.pronamespace = $2 AND p.proname IN ('vm_transform', 'transform_voucher', "
            "'transform_campaign')) UNION SELECT child FROM %s WHERE parent = $1 UNION SELECT e.child FROM "
            "%s e JOIN %s p USING (entity) WHERE p.parent = $1), standing AS (SELECT child::regclass::text "
            "AS name FROM children WHERE child IN (SELECT oid FROM pg_class)) SELECT (SELECT entity FROM %s "
            "WHERE parent = $1), count(*), (SELECT string_agg(name, ', ' ORDER BY name) FROM (SELECT name "
            "FROM standing ORDER BY name LIMIT 3) few) FROM standing",
            ExtensionName(schema, "vm_child"), ExtensionName(schema, "vm_project_entity"),
            ExtensionName(schema, "vm_parent"), ExtensionName(schema, "vm_parent")),
        args, 2, 3);
    return row;
}

void RefuseParent(Oid schema, Oid table) {
    constexpr int64 kNamed = 3;
    SqlResult row = AskParent(schema, table);
    char *entity = TextOrNull(&row, 0), *few = TextOrNull(&row, 2);
    int64 count = DatumGetInt64(row.value[1]);
    if (entity == NULL && count == 0) return;
    char* children = pstrdup("It has none now");
    if (count > kNamed)
        children = psprintf("Its children are %s and " INT64_FORMAT " more", few, count - kNamed);
    else if (count > 0)
        children = psprintf("%s %s", count == 1 ? "Its child is" : "Its children are", few);
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("table %s is a parent, not a child", get_rel_name(table)),
                    errdetail("Rows are staged, checked and moved child by child. %s.", children),
                    entity ? errhint("SELECT tenant, project, child FROM %s WHERE entity = %s;",
                                     ExtensionName(schema, "vm_project_entity"), quote_literal_cstr(entity))
                           : errhint("Name the child.")));
}

void RaiseNoTrigger(Oid schema, Oid table) {
    RefuseParent(schema, table);
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("table %s has no transform trigger", get_rel_name(table)),
                    errhint("The trigger names the mapping, and the mapping says which rows are newer.")));
}

// Whether the table was a child by what is on record. As the owner.
static bool IsOnRecord(Oid schema, Oid table) {
    static const char* const tables[] = {"vm_child", "vm_project_entity", "vm_pool", "vm_move_run",
                                         "vm_quarantine"};
    SqlArg args[] = {OidArg(REGCLASSOID, table)};
    AsOwner owner = EnterAsOwner(schema);
    bool found = RunSql(
                     "SELECT true FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE "
                     "i.inhrelid = $1 AND c.relkind = 'r' AND NOT c.relispartition LIMIT 1",
                     args, 1, 1)
                     .found;
    for (const char* record : tables)
        found = found || RunSql(psprintf("SELECT true FROM %s WHERE child = $1 LIMIT 1",
                                         ExtensionName(schema, record)),
                                args, 1, 1)
                             .found;
    LeaveAsOwner(owner);
    return found;
}

void RequireChild(Oid schema, Oid table) {
    Relation rel = try_relation_open(table, AccessShareLock);
    if (rel == NULL) {
        if (IsOnRecord(schema, table)) return;
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("there is no table with OID %u", table)));
    }
    bool has_trigger = MappingOfChild(schema, rel, NULL, NULL) != NULL;
    relation_close(rel, AccessShareLock);
    if (has_trigger) return;
    RefuseParent(schema, table);
    if (!IsOnRecord(schema, table)) RaiseNoTrigger(schema, table);
}
