// vm_pause_move, vm_resume_move, vm_stop_move: rows of vm_move_control, which a move reads before each batch.
#include "pg/move/move_control.h"

#include "pg/child/is_child.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_pause_move);
PG_FUNCTION_INFO_V1(vm_resume_move);
PG_FUNCTION_INFO_V1(vm_stop_move);
}

MoveControl ReadControl(Oid schema, Oid child) {
    SqlArg args[] = {OidArg(REGCLASSOID, child)};
    AsOwner owner = EnterAsOwner(schema);
    SqlResult row =
        RunSavedSql(psprintf("SELECT paused_by, stop_at, stop_by, paused_at FROM %s WHERE child = $1",
                             ExtensionName(schema, "vm_move_control")),
                    args, 1, 4);
    LeaveAsOwner(owner);
    MoveControl control = {};
    if (!row.found) return control;
    if (!row.null[0]) control.paused_by = TextDatumGetCString(row.value[0]);
    if (!row.null[1]) control.stop_at = DatumGetTimestampTz(row.value[1]);
    if (!row.null[2]) control.stop_by = TextDatumGetCString(row.value[2]);
    if (!row.null[3]) control.paused_at = DatumGetTimestampTz(row.value[3]);
    return control;
}

// Who moves rows may stop moving them, nobody else.
static void CheckRights(Oid child) {
    AclResult result = pg_class_aclcheck(child, GetUserId(), ACL_DELETE);
    if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_TABLE, get_rel_name(child));
}

// Runs SQL with $1 child, $2 user as the extension's owner, and says how many moves of the child are under
// way.
static Datum Ask(FunctionCallInfo fcinfo, const char* sql) {
    RequireArguments(fcinfo, 1);
    Oid schema = ExtensionSchema(fcinfo), child = PG_GETARG_OID(0);
    CheckRights(child);
    RequireChild(schema, child);
    SqlArg args[] = {OidArg(REGCLASSOID, child), TextArg(GetUserNameFromId(GetUserId(), false))};
    AsOwner owner = EnterAsOwner(schema);
    RunSql(psprintf(sql, ExtensionName(schema, "vm_move_control")), args, 2, 0);
    SqlResult running =
        RunSql(psprintf("SELECT count(*)::integer FROM %s WHERE child = $1 AND ended_at IS NULL AND "
                        "state IN ('running', 'waiting')",
                        ExtensionName(schema, "vm_progress")),
               args, 1, 1);
    LeaveAsOwner(owner);
    return running.value[0];
}

extern "C" {

// vm_pause_move(child) → moves under way. They wait after the batch at hand, and so do later ones, until
// resumed.
Datum vm_pause_move(PG_FUNCTION_ARGS) {
    return Ask(
        fcinfo,
        "INSERT INTO %s AS c (child, paused_by, paused_at) VALUES ($1, $2, clock_timestamp()) ON CONFLICT "
        "(child) DO UPDATE SET paused_by = coalesce(c.paused_by, excluded.paused_by), paused_at = "
        "coalesce(c.paused_at, excluded.paused_at)");
}

// vm_resume_move(child) → moves under way.
Datum vm_resume_move(PG_FUNCTION_ARGS) {
    return Ask(fcinfo,
               "UPDATE %s SET paused_by = NULL, paused_at = NULL WHERE child = $1 AND $2 IS NOT NULL");
}

// vm_stop_move(child) → moves under way. They end after the batch at hand; later ones are free to begin.
Datum vm_stop_move(PG_FUNCTION_ARGS) {
    return Ask(
        fcinfo,
        "INSERT INTO %s (child, stop_by, stop_at) VALUES ($1, $2, clock_timestamp()) ON CONFLICT (child) "
        "DO UPDATE SET stop_by = excluded.stop_by, stop_at = excluded.stop_at");
}
}
