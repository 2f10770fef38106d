#include "pg/anomaly.h"

#include "pg/tables.h"

void RecordAnomaly(const CompiledMapping* compiled, const Anomaly* anomaly) {
    TupleDesc desc = RelationGetDescr(anomaly->child);
    Oid row_type = RelationGetForm(anomaly->child)->reltype;
    SqlArg args[] = {
        OidArg(REGCLASSOID, RelationGetRelid(anomaly->child)),
        TextArg(compiled->mapping),
        TextArg(anomaly->id),
        TextArg(anomaly->kind),
        {TIMESTAMPTZOID, TimestampTzGetDatum(anomaly->incoming_time), false},
        {TIMESTAMPTZOID, TimestampTzGetDatum(anomaly->stored_time), false},
        {row_type, heap_copy_tuple_as_datum(anomaly->incoming, desc), false},
        {row_type, heap_copy_tuple_as_datum(anomaly->stored, desc), false},
        TextArg(anomaly->document),
    };
    AsOwner owner = EnterAsOwner(compiled->schema);
    RunSql(psprintf("INSERT INTO %s AS a (child, mapping, _id, kind, incoming_time, stored_time, incoming, stored, "
                    "incoming_doc) VALUES ($1, $2, $3, $4, $5, $6, to_jsonb($7) - '{_id,_doc}'::text[], "
                    "to_jsonb($8) - '{_id,_doc}'::text[], $9) "
                    "ON CONFLICT (child, coalesce(_id, ''), kind, md5(incoming_doc)) WHERE resolved_at IS NULL "
                    "DO UPDATE SET times_seen = a.times_seen + 1, last_seen_at = clock_timestamp(), "
                    "stored_time = excluded.stored_time, stored = excluded.stored",
                    ExtensionName(compiled->schema, "vm_anomaly")),
           args, lengthof(args), 0);
    LeaveAsOwner(owner);
}
