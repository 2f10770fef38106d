#include "pg/project/project.h"

#include "pg/server/tables.h"

const char* WordOf(Step step) {
    static const char* const words[] = {"source_check", "prepare", "feed_start",    "check",
                                        "move_closed",  "switch",  "anomaly_check", "move",
                                        "feed_stop",    "finish"};
    static_assert(lengthof(words) == (int)Step::Finish + 1, "a word for each step");
    return words[(int)step];
}

// Steps that a later look can find wrong.
static bool IsCheck(Step step) {
    return step == Step::SourceCheck || step == Step::Check || step == Step::AnomalyCheck;
}

static void CheckProject(Oid schema, const char* tenant, const char* project, bool lock) {
    SqlArg args[] = {TextArg(tenant), TextArg(project)};
    bool found = RunSql(psprintf("SELECT true FROM %s WHERE tenant = $1 AND project = $2 %s",
                                 ExtensionName(schema, "vm_project"), lock ? "FOR NO KEY UPDATE" : ""),
                        args, 2, 1)
                     .found;
    if (!found)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("project %s of tenant %s is not registered", project, tenant),
                        errhint("Add it: SELECT %s(%s, %s);", ExtensionName(schema, "vm_add_project"),
                                quote_literal_cstr(tenant), quote_literal_cstr(project))));
}

static char* TextAt(int row, int column) {
    return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

static Datum ValueAt(int row, int column, bool* null) {
    return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}

static Oid OidAt(int row, int column) {
    bool null;
    Datum value = ValueAt(row, column, &null);
    return null ? InvalidOid : DatumGetObjectId(value);
}

static bool TrueAt(int row, int column) {
    bool null;
    Datum value = ValueAt(row, column, &null);
    return !null && DatumGetBool(value);
}

// A row of the query in ProjectEntities. SPI is connected; the copy is in the current context.
static ProjectEntity* EntityOf(int row, MemoryContext caller) {
    char* texts[] = {TextAt(row, 1), TextAt(row, 3), TextAt(row, 4)};
    MemoryContext spi = MemoryContextSwitchTo(caller);
    ProjectEntity* entity = (ProjectEntity*)palloc0(sizeof(ProjectEntity));
    entity->parent.entity = pstrdup(texts[0]);
    entity->parent.parent = OidAt(row, 2);
    entity->parent.mapping = pstrdup(texts[1]);
    entity->parent.closed = texts[2] ? pstrdup(texts[2]) : NULL;
    entity->parent.active_before_switch = TrueAt(row, 5);
    entity->child = OidAt(row, 6);
    entity->pooled = TrueAt(row, 7);
    for (int i = 0; i <= (int)Step::Finish; i++) entity->done[i] = TrueAt(row, 8 + i);
    MemoryContextSwitchTo(spi);
    return entity;
}

void RaiseNoEntity(Oid schema, const char* entity) {
    SqlResult known =
        RunAsOwner(schema,
                   psprintf("SELECT string_agg(entity, ', ' ORDER BY move_order, entity) FROM %s",
                            ExtensionName(schema, "vm_parent")),
                   NULL, 0, 1);
    char* names = TextOrNull(&known, 0);
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("entity \"%s\" is not registered", entity),
             names ? errdetail("Registered: %s.", names) : errdetail("No parent is registered."),
             errhint("Entities are rows of %s; see %s.", ExtensionName(schema, "vm_parent"),
                     ExtensionName(schema, "vm_register_parent"))));
}

List* ProjectEntities(Oid schema, const char* tenant, const char* project, const char* entity, bool lock) {
    MemoryContext caller = CurrentMemoryContext;
    StringInfoData steps;
    initStringInfo(&steps);
    for (int i = 0; i <= (int)Step::Finish; i++)
        appendStringInfo(&steps, ", e.%s_at IS NOT NULL", WordOf((Step)i));
    AsOwner owner = EnterAsOwner(schema);
    CheckProject(schema, tenant, project, lock);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
    Datum values[] = {CStringGetTextDatum(tenant), CStringGetTextDatum(project),
                      entity ? CStringGetTextDatum(entity) : (Datum)0};
    char nulls[] = {' ', ' ', entity ? ' ' : 'n'};
    int code = SPI_execute_with_args(
        psprintf("SELECT p.entity, p.parent, p.mapping, p.closed, p.move_active = 'before_switch', e.child, "
                 "e.pooled%s FROM %s p LEFT JOIN %s e ON e.entity = p.entity AND e.tenant = $1 AND "
                 "e.project = $2 WHERE p.entity = $3 OR $3 IS NULL ORDER BY p.move_order, p.entity",
                 steps.data, ExtensionName(schema, "vm_parent"), ExtensionName(schema, "vm_project_entity")),
        3, types, values, nulls, false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
    List* entities = NIL;
    for (uint64 i = 0; i < SPI_processed; i++) {
        ProjectEntity* made = EntityOf((int)i, caller);
        MemoryContext spi = MemoryContextSwitchTo(caller);
        entities = lappend(entities, made);
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    LeaveAsOwner(owner);
    if (entities == NIL && entity != NULL) RaiseNoEntity(schema, entity);
    if (entities == NIL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no parent is registered"),
                        errhint("Register the tables that take part with %s.",
                                ExtensionName(schema, "vm_register_parent"))));
    return entities;
}

// Runs SQL with $1 tenant, $2 project, $3 entity or NULL.
static void RunForProject(const char* sql, const char* tenant, const char* project, const char* entity) {
    SqlArg args[] = {TextArg(tenant), TextArg(project), TextArg(entity)};
    RunSql(sql, args, 3, 0);
}

static void WriteHistory(Oid schema, const char* tenant, const char* project, const char* entity,
                         const char* step, bool passed, const char* found, const char* override_reason,
                         const char* user) {
    SqlArg args[] = {TextArg(tenant),
                     TextArg(project),
                     TextArg(entity),
                     TextArg(step),
                     {BOOLOID, BoolGetDatum(passed), false},
                     TextArg(found),
                     TextArg(override_reason),
                     TextArg(user)};
    RunSql(psprintf("INSERT INTO %s (tenant, project, entity, step, passed, found, override_reason, done_by) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    ExtensionName(schema, "vm_history")),
           args, lengthof(args), 0);
}

static void ClearStep(Oid schema, const char* tenant, const char* project, const char* entity, Step step) {
    RunForProject(psprintf("UPDATE %s SET %s_at = NULL WHERE tenant = $1 AND project = $2 AND (entity = $3 "
                           "OR $3 IS NULL)",
                           ExtensionName(schema, "vm_project_entity"), WordOf(step)),
                  tenant, project, entity);
}

void RecordStep(Oid schema, const char* tenant, const char* project, const char* entity, Step step,
                bool passed, const char* found, const char* override_reason) {
    const char* user = GetUserNameFromId(GetUserId(), false);
    AsOwner owner = EnterAsOwner(schema);
    WriteHistory(schema, tenant, project, entity, WordOf(step), passed, found, override_reason, user);
    if (passed)
        RunForProject(psprintf("INSERT INTO %s AS e (tenant, project, entity, %s_at) SELECT $1, $2, entity, "
                               "clock_timestamp() FROM %s WHERE entity = $3 OR $3 IS NULL ORDER BY entity ON "
                               "CONFLICT (tenant, "
                               "project, entity) DO UPDATE SET %s_at = excluded.%s_at",
                               ExtensionName(schema, "vm_project_entity"), WordOf(step),
                               ExtensionName(schema, "vm_parent"), WordOf(step), WordOf(step)),
                      tenant, project, entity);
    else if (IsCheck(step))
        ClearStep(schema, tenant, project, entity, step);
    LeaveAsOwner(owner);
}

void TakeBackStep(Oid schema, const char* tenant, const char* project, const char* entity, Step step,
                  const char* reason) {
    const char* user = GetUserNameFromId(GetUserId(), false);
    AsOwner owner = EnterAsOwner(schema);
    WriteHistory(schema, tenant, project, entity, psprintf("%s_back", WordOf(step)), true, NULL, reason,
                 user);
    ClearStep(schema, tenant, project, entity, step);
    LeaveAsOwner(owner);
}

// Whether rows have left the child since the switch, to wherever, or may do so now: a mover that moves before
// the switch too goes on. As the owner.
static bool HasMovedSince(Oid schema, const SqlArg* args) {
    return RunSql(psprintf(
                      "SELECT true FROM %s e WHERE tenant = $1 AND project = $2 AND entity = $3 AND (EXISTS "
                      "(SELECT FROM %s b WHERE b.child = e.child AND b.moved_at >= e.switch_at AND "
                      "b.inserted + b.updated + b.kept + b.quarantined > 0) OR $4 AND EXISTS (SELECT FROM %s "
                      "p WHERE p.child = e.child AND p.ended_at IS NULL AND p.state IN ('running', "
                      "'waiting')))",
                      ExtensionName(schema, "vm_project_entity"), ExtensionName(schema, "vm_move_batches"),
                      ExtensionName(schema, "vm_progress")),
                  args, 4, 1)
        .found;
}

const char* TakeBackSwitch(Oid schema, const char* tenant, const char* project, const ProjectEntity* entity,
                           const char* reason, bool moving) {
    const char* name = entity->parent.entity;
    SqlArg args[] = {TextArg(tenant),
                     TextArg(project),
                     TextArg(name),
                     {BOOLOID, BoolGetDatum(entity->parent.active_before_switch), false}};
    const char* lost = NULL;
    bool finished = entity->done[(int)Step::Finish];
    AsOwner owner = EnterAsOwner(schema);
    if (finished)
        lost = "It was finished, and the feed has no child to write to.";
    else if (entity->done[(int)Step::FeedStop])
        lost = "It was stopped, and what is written to MongoDB does not arrive.";
    else if (moving || HasMovedSince(schema, args))
        lost =
            "Rows have moved since the switch, and a change of their documents does not find them in the "
            "child.";
    LeaveAsOwner(owner);
    TakeBackStep(schema, tenant, project, name, Step::Switch, reason);
    if (lost != NULL) TakeBackStep(schema, tenant, project, name, Step::FeedStart, lost);
    owner = EnterAsOwner(schema);
    if (lost != NULL) ClearStep(schema, tenant, project, name, Step::Check);
    // What was found and done after that switch says nothing of the next one.
    const Step later[] = {Step::AnomalyCheck, Step::Move, Step::FeedStop};
    for (Step step : later) ClearStep(schema, tenant, project, name, step);
    const Step of_child[] = {Step::Prepare, Step::MoveClosed, Step::Finish};
    for (Step step : of_child)
        if (finished) ClearStep(schema, tenant, project, name, step);
    LeaveAsOwner(owner);
    // A mover at work asks again whether it may.
    if (TableStands(entity->child)) CacheInvalidateRelcacheByRelid(entity->child);
    return lost;
}

bool FeedWasLost(Oid schema, const char* tenant, const char* project, const ProjectEntity* entity) {
    if (entity->done[(int)Step::FeedStart]) return false;
    SqlArg args[] = {TextArg(tenant), TextArg(project), TextArg(entity->parent.entity)};
    bool lost =
        RunAsOwner(schema,
                   psprintf("SELECT true FROM %s p JOIN %s h USING (tenant, project) WHERE tenant = $1 AND "
                            "project = $2 AND h.entity = $3 AND h.step = 'feed_start_back' AND h.done_at >= "
                            "p.added_at LIMIT 1",
                            ExtensionName(schema, "vm_project"), ExtensionName(schema, "vm_history")),
                   args, 3, 1)
            .found;
    return lost;
}
