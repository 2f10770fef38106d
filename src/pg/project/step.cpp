// vm_record_step, and the order of steps.
#include "pg/project/step.h"

#include "pg/project/project_facts.h"
#include "pg/server/tables.h"

extern "C" {
#include <catalog/pg_proc.h>
#include <utils/catcache.h>

PG_FUNCTION_INFO_V1(vm_record_step);
}

// Whether a function of another schema in the search_path may be meant by the name.
static bool IsShadowed(Oid schema, const char* function, List* path) {
    CatCList* namesakes = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(function));
    bool shadowed = false;
    for (int i = 0; i < namesakes->n_members; i++) {
        Oid home = ((Form_pg_proc)GETSTRUCT(&namesakes->members[i]->tuple))->pronamespace;
        shadowed |= home != schema && list_member_oid(path, home);
    }
    ReleaseSysCacheList(namesakes);
    return shadowed;
}

char* CallName(Oid schema, const char* function) {
    List* path = fetch_search_path(false);
    bool plain = list_member_oid(path, schema) && !IsShadowed(schema, function, path);
    list_free(path);
    return plain ? pstrdup(function) : ExtensionName(schema, function);
}

// 'acme', 'p1' and, if there is one, the entity behind `between`.
static char* Arguments(const ProjectKey* key, const char* between, const ProjectEntity* entity) {
    return psprintf("%s, %s%s%s", quote_literal_cstr(key->tenant), quote_literal_cstr(key->project),
                    entity ? between : "", entity ? quote_literal_cstr(entity->parent.entity) : "");
}

static char* MoveCall(const ProjectKey* key, const ProjectEntity* entity, const char* filter) {
    return psprintf("CALL %s(%s%s%s);", CallName(key->schema, "vm_move"),
                    quote_literal_cstr(QualifiedName(entity->child)), filter ? ", filter => " : "",
                    filter ? quote_literal_cstr(filter) : "");
}

static char* FunctionCall(const ProjectKey* key, const char* function, const ProjectEntity* entity) {
    return psprintf("SELECT * FROM %s(%s);", CallName(key->schema, function), Arguments(key, ", ", entity));
}

static char* RecordCall(const ProjectKey* key, const char* step, const char* found,
                        const ProjectEntity* entity) {
    return psprintf("SELECT %s(%s, '%s'%s%s);", CallName(key->schema, "vm_record_step"),
                    Arguments(key, "", NULL), step, found ? psprintf(", '%s'", found) : "",
                    entity ? psprintf(", entity => %s", quote_literal_cstr(entity->parent.entity)) : "");
}

char* StatementOf(const ProjectKey* key, Step step, const ProjectEntity* entity) {
    switch (step) {
        case Step::SourceCheck: return RecordCall(key, WordOf(step), "clean", entity);
        case Step::FeedStart:
        case Step::FeedStop: return RecordCall(key, WordOf(step), NULL, entity);
        case Step::Prepare: return FunctionCall(key, "vm_prepare", NULL);
        case Step::Check: return FunctionCall(key, "vm_check_project", entity);
        case Step::MoveClosed: return MoveCall(key, entity, entity->parent.closed);
        case Step::Switch: return FunctionCall(key, "vm_switch", entity);
        case Step::AnomalyCheck: return FunctionCall(key, "vm_check_anomalies", NULL);
        case Step::Move: return MoveCall(key, entity, NULL);
        case Step::Finish: return FunctionCall(key, "vm_finish", NULL);
    }
    pg_unreachable();
}

// Who records a step that vm_record_step does not.
static const char* RecorderOf(Step step) {
    switch (step) {
        case Step::SourceCheck:
        case Step::FeedStart:
        case Step::FeedStop: return NULL;
        case Step::Prepare: return "vm_prepare";
        case Step::Check: return "vm_check_project";
        case Step::MoveClosed:
        case Step::Move: return "vm_move";
        case Step::Switch: return "vm_switch";
        case Step::AnomalyCheck: return "vm_check_anomalies";
        case Step::Finish: return "vm_finish";
    }
    pg_unreachable();
}

static Step RecordedStep(Oid schema, const char* word) {
    for (int i = 0; i <= (int)Step::Finish; i++) {
        if (strcmp(word, WordOf((Step)i)) != 0) continue;
        const char* recorder = RecorderOf((Step)i);
        if (recorder == NULL) return (Step)i;
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("step %s is not recorded by vm_record_step", word),
                        errdetail("%s does it and records it.", CallName(schema, recorder))));
    }
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("there is no step \"%s\"", word),
                    errhint("Steps done outside the server are source_check, feed_start and feed_stop.")));
}

void RequireStep(const ProjectKey* key, Step step, List* entities, const char* asked, Step needed) {
    StringInfoData names;
    initStringInfo(&names);
    int missing = 0;
    const ProjectEntity* first = NULL;
    ListCell* cell;
    foreach (cell, entities) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        if (entity->done[(int)needed]) continue;
        if (missing++ == 0) first = entity;
        appendStringInfo(&names, "%s%s", missing > 1 ? ", " : "", entity->parent.entity);
    }
    if (missing == 0) return;
    bool all = asked == NULL && missing == list_length(entities);
    char* statement = StatementBefore(key, needed, entities, asked == NULL);
    if (statement == NULL) statement = StatementOf(key, needed, all ? NULL : first);
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("%s of project %s of tenant %s comes after %s", WordOf(step), key->project,
                           key->tenant, WordOf(needed)),
                    errdetail("That is not done for %s.", names.data), errhint("Run: %s", statement)));
}

void RequireUnfinished(const ProjectKey* key, Step step, List* entities) {
    ListCell* cell;
    foreach (cell, entities) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        if (!entity->done[(int)Step::Finish]) continue;
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("project %s of tenant %s is finished for %s", key->project, key->tenant,
                               entity->parent.entity),
                        errdetail("Nothing is left to do; %s is not recorded any more.", WordOf(step)),
                        errhint("What was done: SELECT * FROM %s WHERE tenant = %s AND project = %s;",
                                ExtensionName(key->schema, "vm_history"), quote_literal_cstr(key->tenant),
                                quote_literal_cstr(key->project))));
    }
}

void RequireChildren(const ProjectKey* key, Step step, List* entities, const char* asked) {
    ListCell* cell;
    foreach (cell, entities) {
        ProjectEntity* entity = (ProjectEntity*)lfirst(cell);
        if (!HasChild(entity)) entity->done[(int)Step::Prepare] = false;
    }
    RequireStep(key, step, entities, asked, Step::Prepare);
}

void RequireFeedBegun(const ProjectKey* key, Step step, const ProjectEntity* entity) {
    if (!FeedWasLost(key->schema, key->tenant, key->project, entity)) return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("%s of project %s of tenant %s comes after %s", WordOf(step), key->project,
                           key->tenant, WordOf(Step::FeedStart)),
                    errdetail("The feed of %s has to begin anew.", entity->parent.entity),
                    errhint("Let it load the collection once more, then: %s",
                            StatementOf(key, Step::FeedStart, entity))));
}

extern "C" {

// vm_record_step(tenant, project, step, found, entity): what was done outside the server, of one entity or
// (NULL) of all. Errors: a step that another function records, no such step, project or entity (22023); a
// step before its time (55000).
Datum vm_record_step(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 3);
    PreventCommandIfReadOnly("vm_record_step()");
    ProjectKey key = {ExtensionSchema(fcinfo), text_to_cstring(PG_GETARG_TEXT_PP(0)),
                      text_to_cstring(PG_GETARG_TEXT_PP(1))};
    Step step = RecordedStep(key.schema, text_to_cstring(PG_GETARG_TEXT_PP(2)));
    const char* found = TextArgument(fcinfo, 3);
    const char* asked = TextArgument(fcinfo, 4);
    List* entities = ProjectEntities(key.schema, key.tenant, key.project, asked, true);
    RequireUnfinished(&key, step, entities);
    if (step == Step::FeedStart) {
        RequireStep(&key, step, entities, asked, Step::SourceCheck);
        RequireStep(&key, step, entities, asked, Step::Prepare);
    }
    // Applications do not write to the source any more, and what its feed brought late is decided: rows that
    // are still in the child can move without it.
    if (step == Step::FeedStop) {
        RequireStep(&key, step, entities, asked, Step::Switch);
        RequireChildren(&key, step, entities, asked);
        RequireStep(&key, step, entities, asked, Step::AnomalyCheck);
        ListCell* cell;
        foreach (cell, entities) RequireFeedBegun(&key, step, (ProjectEntity*)lfirst(cell));
    }
    RecordStep(key.schema, key.tenant, key.project, asked, step, true, found, NULL);
    PG_RETURN_VOID();
}
}
