#include "pg/project/move_project.h"

#include "pg/child/child_lock.h"
#include "pg/move/move_lock.h"
#include "pg/project/project.h"
#include "pg/server/caught.h"
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

// A row lock on the registry would do the same, but each step on record would wait for batches at work, two
// movers that record theirs for each other, and each batch would write to that row.
static void HoldTurn(Oid child) {
    LockMove(MoveLockOn::Turn, child, true);
}

void CheckMovesTurn(const MoveTarget* target) {
    Turn turn;
    HoldTurn(target->child_oid);
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

// A pool's child may serve another project by now, or its project be switched back, which is sent to all
// before the turn is free.
void OpenInTurn(MoveTarget** target) {
    uint64 generation = (*target)->generation;
    HoldTurn((*target)->child_oid);
    OpenTarget(target);
    if ((*target)->generation != generation) CheckMovesTurn(*target);
}

struct Taking {
    Oid child;
    int64 timeout_us;
    bool taken;
};

static void TakeTurn(void* arg) {
    LockMove(MoveLockOn::Turn, *(Oid*)arg, false);
}

static void TryTakeTurn(void* arg) {
    Taking* taking = (Taking*)arg;
    taking->taken = WithinTimeout(TakeTurn, &taking->child, taking->timeout_us);
}

bool StopMoves(Oid child, int64 timeout_us) {
    Taking taking = {child, timeout_us, false};
    ErrorData* error = RunCaught(TryTakeTurn, &taking);
    // vm_move_whole waits for the snapshots of others, this one's among them.
    if (error != NULL && error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED) ReThrowError(error);
    return error == NULL && taking.taken;
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
