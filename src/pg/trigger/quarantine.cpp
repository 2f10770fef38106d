#include "pg/trigger/quarantine.h"

#include "pg/server/tables.h"

void Quarantine(const CompiledMapping* compiled, Relation child, const char* id, const char* document,
                const char* operation, const ProblemWords* words) {
    SqlArg args[] = {
        OidArg(REGCLASSOID, RelationGetRelid(child)),
        TextArg(compiled->mapping),
        TextArg(id),
        TextArg(document),
        TextArg(operation),
        TextArg(unpack_sql_state(words->sqlerrcode)),
        TextArg(words->message),
        TextArg(words->field),
        TextArg(words->column),
        TextArg(QualifiedName(RelationGetRelid(child))),
    };
    RunAsOwner(
        compiled->schema,
        psprintf("INSERT INTO %s AS q (child, mapping, _id, _doc, operation, sqlstate, message, field, "
                 "column_name, child_name) "
                 "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
                 "ON CONFLICT (child, coalesce(_id, ''), md5(_doc)) WHERE settled_at IS NULL "
                 "AND operation <> 'MOVE' DO UPDATE SET attempts = q.attempts + 1, last_attempt_at = "
                 "clock_timestamp(), "
                 "operation = excluded.operation, sqlstate = excluded.sqlstate, message = excluded.message, "
                 "field = excluded.field, column_name = excluded.column_name",
                 ExtensionName(compiled->schema, "vm_quarantine")),
        args, lengthof(args), 0);
}

bool AnyQuarantined(Oid schema, Oid child) {
    SqlArg args[] = {OidArg(REGCLASSOID, child)};
    SqlResult result =
        RunAsOwner(schema,
                   psprintf("SELECT true FROM %s WHERE child = $1 AND settled_at IS NULL AND operation "
                            "<> 'MOVE' LIMIT 1",
                            ExtensionName(schema, "vm_quarantine")),
                   args, 1, 1);
    return result.found;
}

bool quarantine_retry = false;

static bool RowExists(Oid child, const char* id) {
    if (get_attnum(child, "_id") == InvalidAttrNumber) return false;
    char* sql = psprintf("SELECT true FROM ONLY %s WHERE _id = %s LIMIT 1", QualifiedName(child),
                         quote_literal_cstr(id));
    AsOwner owner = EnterAsTableOwner(child);
    bool found = RunSql(sql, NULL, 0, 1).found;
    LeaveAsOwner(owner);
    return found;
}

void SettleQuarantine(Oid schema, Oid child, const char* id, bool insert) {
    if (insert && RowExists(child, id)) return;
    // A row that the parent refused may hold what the application wrote: no document makes up for it.
    SqlArg args[] = {OidArg(REGCLASSOID, child), TextArg(id)};
    RunAsOwner(
        schema,
        psprintf("UPDATE %s SET settled_at = clock_timestamp(), settled_by = 'good document' "
                 "WHERE child = $1 AND coalesce(_id, '') = $2 AND settled_at IS NULL AND operation <> 'MOVE'",
                 ExtensionName(schema, "vm_quarantine")),
        args, lengthof(args), 0);
}
