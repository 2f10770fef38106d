// vm_remove_project: a project that was added by mistake is out again, as long as nothing relies on it.
#include "pg/server/compat.h"
#include "pg/server/tables.h"

extern "C" {
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_remove_project);
}

struct Removal {
    Oid schema;
    const char* tenant;
    const char* project;
};

// One statement over tables of the extension that are named in it by %s, with $1 tenant and $2 project.
static SqlResult Run(const Removal* removal, const char* sql, const char* table, const char* other,
                     int want) {
    SqlArg args[] = {TextArg(removal->tenant), TextArg(removal->project)};
    SqlResult result = RunAsOwner(removal->schema,
                                  psprintf(sql, ExtensionName(removal->schema, table),
                                           other ? ExtensionName(removal->schema, other) : ""),
                                  args, lengthof(args), want);
    return result;
}

static char* Call(const Removal* removal, const char* function, const char* more) {
    return psprintf("SELECT * FROM %s(%s, %s%s);", ExtensionName(removal->schema, function),
                    quote_literal_cstr(removal->tenant), quote_literal_cstr(removal->project), more);
}

[[noreturn]] static void Refuse(const Removal* removal, const char* why, const char* hint) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("project %s of tenant %s cannot be removed", removal->project, removal->tenant),
                    errdetail("%s", why), errhint("%s", hint)));
}

// Nobody takes the project a step further meanwhile. Returns who added it.
static char* Lock(const Removal* removal) {
    SqlResult row = Run(removal, "SELECT added_by FROM %s WHERE tenant = $1 AND project = $2 FOR UPDATE",
                        "vm_project", NULL, 1);
    if (!row.found)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("project %s of tenant %s is not registered", removal->project, removal->tenant),
                 errhint("Projects are rows of %s.", ExtensionName(removal->schema, "vm_project"))));
    return TextDatumGetCString(row.value[0]);
}

static void RequireNotLive(const Removal* removal) {
    SqlResult row =
        Run(removal,
            "SELECT string_agg(entity, ', ' ORDER BY entity) FROM (SELECT entity FROM %s WHERE "
            "tenant = $1 AND project = $2 AND switched UNION SELECT entity FROM %s WHERE tenant = $1 "
            "AND project = $2 AND switch_at IS NOT NULL) s",
            "vm_flag", "vm_project_entity", 1);
    if (row.null[0]) return;
    Refuse(removal, psprintf("Applications were switched over to PostgreSQL: %s.", TextOrNull(&row, 0)),
           psprintf("If they are to go back: %s", Call(removal, "vm_switch_back", ", reason => '...'")));
}

static void RequireNoChild(const Removal* removal) {
    SqlResult row =
        Run(removal,
            "SELECT child::text, pooled, entity FROM %s WHERE tenant = $1 AND project = $2 AND child "
            "IN (SELECT oid FROM pg_class) ORDER BY entity LIMIT 1",
            "vm_project_entity", NULL, 3);
    if (!row.found) return;
    char* child = TextDatumGetCString(row.value[0]);
    bool pooled = DatumGetBool(row.value[1]);
    Refuse(removal,
           pooled ? psprintf("Child %s of the pool of entity \"%s\" serves it.", child,
                             TextDatumGetCString(row.value[2]))
                  : psprintf("It has child %s.", child),
           psprintf("If no feed writes to it and its rows are not needed: DROP TABLE %s;%s", child,
                    pooled ? " -- the pool has one less then" : ""));
}

// By the record: in the parent its rows are like any others.
static void RequireNothingMoved(const Removal* removal) {
    SqlResult told = Run(removal,
                         "SELECT true FROM %s WHERE tenant = $1 AND project = $2 AND step IN ('move', "
                         "'move_closed') AND (found LIKE '0 inserted, 0 updated,%%') IS NOT TRUE LIMIT 1",
                         "vm_history", NULL, 1);
    // Of a move that did not come to its end.
    SqlResult batch =
        Run(removal,
            "SELECT true FROM %s e JOIN %s b ON b.child = e.child AND b.moved_at >= e.prepare_at "
            "WHERE e.tenant = $1 AND e.project = $2 AND b.inserted + b.updated > 0 LIMIT 1",
            "vm_project_entity", "vm_move_batches", 1);
    if (!told.found && !batch.found) return;
    Refuse(removal, "Rows of it have moved to a parent, where they would be nobody's.",
           psprintf("It can be brought to its end: %s", Call(removal, "vm_next", "")));
}

extern "C" {

// vm_remove_project(tenant, project): vm_history keeps what was recorded, and says who removed it. Waits for
// another session that takes it a step further. Errors: no such project (22023); it is switched over, has a
// child, or rows of it have moved (55000).
Datum vm_remove_project(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    PreventCommandIfReadOnly("vm_remove_project()");
    Removal removal = {ExtensionSchema(fcinfo), text_to_cstring(PG_GETARG_TEXT_PP(0)),
                       text_to_cstring(PG_GETARG_TEXT_PP(1))};
    char* added_by = Lock(&removal);
    RequireNotLive(&removal);
    RequireNoChild(&removal);
    RequireNothingMoved(&removal);
    SqlArg args[] = {TextArg(removal.tenant), TextArg(removal.project),
                     TextArg(psprintf("it was added by %s", added_by)),
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    RunAsOwner(
        removal.schema,
        psprintf(
            "INSERT INTO %s (tenant, project, step, found, done_by) VALUES ($1, $2, 'remove_project', $3, "
            "$4)",
            ExtensionName(removal.schema, "vm_history")),
        args, lengthof(args), 0);
    (void)Run(&removal, "DELETE FROM %s WHERE tenant = $1 AND project = $2", "vm_project_entity", NULL, 0);
    (void)Run(&removal, "DELETE FROM %s WHERE tenant = $1 AND project = $2", "vm_project", NULL, 0);
    PG_RETURN_VOID();
}
}
