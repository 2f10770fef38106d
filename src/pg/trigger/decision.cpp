// vm_resolve_anomaly, vm_settle_quarantine: what a person has decided about an open case. Who may call them
// may decide: they write as the extension's owner, and put the caller's role on record.
#include "pg/server/compat.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_resolve_anomaly);
PG_FUNCTION_INFO_V1(vm_settle_quarantine);
}

// A table of cases, and how one of them is closed: $1 its number, $2 what was decided, $3 who decided.
struct Cases {
    const char* table;
    const char* one;   // what a case is called
    const char* open;  // condition: nobody has decided yet
    const char* close;
    const char* words;  // the argument with what was decided
};

static void Decide(FunctionCallInfo fcinfo, const Cases* cases) {
    RequireArguments(fcinfo, 2);
    Oid schema = ExtensionSchema(fcinfo);
    char* decision = text_to_cstring(PG_GETARG_TEXT_PP(1));
    if (IsBlank(decision))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("%s must say in words what was decided", cases->words)));
    SqlArg args[] = {{INT8OID, PG_GETARG_DATUM(0), false},
                     TextArg(decision),
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    uint64 rows = RunAsOwner(schema,
                             psprintf("UPDATE %s SET %s AND %s", ExtensionName(schema, cases->table),
                                      cases->close, cases->open),
                             args, lengthof(args), 0)
                      .rows;
    if (rows == 0)
        ereport(ERROR, (errcode(ERRCODE_NO_DATA),
                        errmsg("there is no open %s " INT64_FORMAT, cases->one, PG_GETARG_INT64(0)),
                        errhint("Open ones are the rows of %s where %s.", cases->table, cases->open)));
}

extern "C" {

// vm_resolve_anomaly(anomaly_id bigint, resolution text). Errors: there is no such open anomaly (02000); no
// words (22023).
Datum vm_resolve_anomaly(PG_FUNCTION_ARGS) {
    static const Cases kAnomalies = {
        "vm_anomaly", "anomaly", "resolved_at IS NULL",
        "resolved_at = clock_timestamp(), resolved_by = $3, resolution = $2 WHERE anomaly_id = $1",
        "resolution"};
    Decide(fcinfo, &kAnomalies);
    PG_RETURN_VOID();
}

// vm_settle_quarantine(quarantine_id bigint, decision text): the document, or the row that the parent
// refused, is given up. Errors: there is no such open case (02000); no words (22023).
Datum vm_settle_quarantine(PG_FUNCTION_ARGS) {
    static const Cases kQuarantine = {"vm_quarantine", "case of quarantine", "settled_at IS NULL",
                                      "settled_at = clock_timestamp(), settled_by = 'decision', decided_by = "
                                      "$3, decision = $2 WHERE quarantine_id = $1",
                                      "decision"};
    Decide(fcinfo, &kQuarantine);
    PG_RETURN_VOID();
}
}
