#include "pg/trigger/anomaly.h"

#include "pg/server/tables.h"

// The parent's columns of a row. Casts and output functions of the table's types run here, so with the
// caller's rights.
static SqlArg RowAsJsonb(Relation child, HeapTuple row) {
    SqlArg arg = {RelationGetForm(child)->reltype, heap_copy_tuple_as_datum(row, RelationGetDescr(child)),
                  false};
    SafePath path = EnterSafePath();
    SqlResult result = RunSql("SELECT to_jsonb($1) - '{_id,_doc}'::text[]", &arg, 1, 1);
    LeaveSafePath(path);
    return {JSONBOID, result.value[0], false};
}

void WriteAnomaly(Oid schema, const SqlArg* args) {
    SqlArg all[10];
    memcpy(all, args, sizeof(SqlArg) * 9);
    all[9] = TextArg(QualifiedName(DatumGetObjectId(args[0].value)));
    RunAsOwner(
        schema,
        psprintf(
            "INSERT INTO %s AS a (child, mapping, _id, kind, incoming_time, stored_time, incoming, stored, "
            "incoming_doc, child_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
            "ON CONFLICT (child, coalesce(_id, ''), kind, md5(incoming_doc), md5(incoming::text)) WHERE "
            "resolved_at IS NULL DO UPDATE SET times_seen = a.times_seen + 1, last_seen_at = "
            "clock_timestamp(), "
            "stored_time = excluded.stored_time, stored = excluded.stored",
            ExtensionName(schema, "vm_anomaly")),
        all, lengthof(all), 0);
}

void RecordAnomaly(const CompiledMapping* compiled, const Anomaly* anomaly) {
    SqlArg args[] = {
        OidArg(REGCLASSOID, RelationGetRelid(anomaly->child)),
        TextArg(compiled->mapping),
        TextArg(anomaly->id),
        TextArg(anomaly->kind),
        {TIMESTAMPTZOID, TimestampTzGetDatum(anomaly->incoming_time), false},
        {TIMESTAMPTZOID, TimestampTzGetDatum(anomaly->stored_time), false},
        RowAsJsonb(anomaly->child, anomaly->incoming),
        RowAsJsonb(anomaly->child, anomaly->stored),
        TextArg(anomaly->document),
    };
    WriteAnomaly(compiled->schema, args);
}
