#include "pg/project/move_project.h"

#include "pg/project/project.h"
#include "pg/server/tables.h"

// What the registry says of a child.
struct Turn {
    char* tenant;
    char* project;
    char* entity;
    char* closed;  // or NULL
    bool before_switch;
    bool switched;
};

// False if the child belongs to no project.
static bool TurnOf(const MoveTarget* target, Turn* turn) {
    SqlArg args[] = {OidArg(REGCLASSOID, target->child_oid)};
    AsOwner owner = EnterAsOwner(target->schema);
    SqlResult row = RunSavedSql(
        psprintf(
            "SELECT e.tenant, e.project, e.entity, p.closed, p.move_active = 'before_switch', e.switch_at "
            "IS NOT NULL FROM %s e JOIN %s p USING (entity) WHERE e.child = $1",
            ExtensionName(target->schema, "vm_project_entity"), ExtensionName(target->schema, "vm_parent")),
        args, 1, 6);
    LeaveAsOwner(owner);
    if (!row.found) return false;
    turn->tenant = TextDatumGetCString(row.value[0]);
    turn->project = TextDatumGetCString(row.value[1]);
    turn->entity = TextDatumGetCString(row.value[2]);
    turn->closed = row.null[3] ? NULL : TextDatumGetCString(row.value[3]);
    turn->before_switch = DatumGetBool(row.value[4]);
    turn->switched = DatumGetBool(row.value[5]);
    return true;
}

static bool MovesClosed(const MoveTarget* target, const Turn* turn) {
    return turn->closed != NULL && target->options.filter != NULL &&
           strcmp(turn->closed, target->options.filter) == 0;
}

void CheckMovesTurn(const MoveTarget* target) {
    Turn turn;
    if (!TurnOf(target, &turn) || turn.switched || turn.before_switch || MovesClosed(target, &turn)) return;
    char* next = psprintf("SELECT * FROM %s(%s, %s, %s);", ExtensionName(target->schema, "vm_switch"),
                          quote_literal_cstr(turn.tenant), quote_literal_cstr(turn.project),
                          quote_literal_cstr(turn.entity));
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("%s of project %s, tenant %s, is not switched over yet", turn.entity, turn.project,
                    turn.tenant),
             errdetail("Rows that still change at the source move after the switch; in the parent a late "
                       "document would not find them."),
             turn.closed ? errhint("First: %s Until then move what is closed: filter => %s.", next,
                                   quote_literal_cstr(turn.closed))
                         : errhint("First: %s", next)));
}

void RecordMoveDone(const MoveTarget* target, const MoveCounts* counts) {
    Turn turn;
    if (!TurnOf(target, &turn)) return;
    bool closed = MovesClosed(target, &turn);
    if (!closed && target->options.filter != NULL) return;
    char* found = psprintf(INT64_FORMAT " inserted, " INT64_FORMAT " updated, " INT64_FORMAT
                                        " kept back, " INT64_FORMAT " quarantined",
                           counts->inserted, counts->updated, counts->kept, counts->quarantined);
    RecordStep(target->schema, turn.tenant, turn.project, turn.entity, closed ? Step::MoveClosed : Step::Move,
               true, found, NULL);
}
