#include "pg/trigger/anomaly.h"

#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_resolve_anomaly);
}

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
    AsOwner owner = EnterAsOwner(schema);
    RunSql(
        psprintf(
            "INSERT INTO %s AS a (child, mapping, _id, kind, incoming_time, stored_time, incoming, stored, "
            "incoming_doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) "
            "ON CONFLICT (child, coalesce(_id, ''), kind, md5(incoming_doc), md5(incoming::text)) WHERE "
            "resolved_at IS NULL DO UPDATE SET times_seen = a.times_seen + 1, last_seen_at = "
            "clock_timestamp(), "
            "stored_time = excluded.stored_time, stored = excluded.stored",
            ExtensionName(schema, "vm_anomaly")),
        args, 9, 0);
    LeaveAsOwner(owner);
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

extern "C" {

// vm_resolve_anomaly(anomaly_id bigint, resolution text), with the caller's rights on vm_anomaly.
// Error: there is no such open anomaly (02000).
Datum vm_resolve_anomaly(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    SqlArg args[] = {{INT8OID, PG_GETARG_DATUM(0), false},
                     {TEXTOID, PG_GETARG_DATUM(1), false},
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    SafePath path = EnterSafePath();
    uint64 rows =
        RunSql(psprintf("UPDATE %s SET resolved_at = clock_timestamp(), resolved_by = $3, resolution = $2 "
                        "WHERE anomaly_id = $1 AND resolved_at IS NULL",
                        ExtensionName(ExtensionSchema(fcinfo), "vm_anomaly")),
               args, lengthof(args), 0)
            .rows;
    LeaveSafePath(path);
    if (rows == 0)
        ereport(ERROR, (errcode(ERRCODE_NO_DATA),
                        errmsg("there is no open anomaly " INT64_FORMAT, PG_GETARG_INT64(0)),
                        errhint("Open ones are the rows of vm_anomaly where resolved_at IS NULL.")));
    PG_RETURN_VOID();
}
}
