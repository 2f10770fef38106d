// vm_next: the next step of a project. Reads only; where the tables can say how far it is they are asked, and
// the steps on record where they cannot.
#include "pg/move/move_control.h"
#include "pg/project/project_facts.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_next);
}

// One step in a project's own order: the article's has eleven of them.
struct Planned {
    Step step;
    bool after_switch;
    const ProjectEntity* entity;  // of one entity, or NULL: of all that have not done it
};

// What vm_next answers.
struct Answer {
    int number;
    int steps;
    const char* step;
    const char* entity;
    char* statement;
    char* why_not_yet;
    char* do_first;
};

static List* WithStep(List* plan, Step step, bool after_switch, const ProjectEntity* entity) {
    Planned* planned = (Planned*)palloc(sizeof(Planned));
    *planned = Planned{step, after_switch, entity};
    return lappend(plan, planned);
}

// Rows that come after a move and before the switch are still in the child then.
static bool MovesAfterSwitch(const ProjectEntity* entity) {
    if (!entity->parent.active_before_switch) return true;
    return entity->done[(int)Step::Switch] && HasChild(entity) && ChildHas(entity, "true") == Known::Yes;
}

static List* PlanOf(List* entities) {
    List* plan = NIL;
    ListCell* cell;
    plan = WithStep(plan, Step::SourceCheck, false, NULL);
    plan = WithStep(plan, Step::Prepare, false, NULL);
    plan = WithStep(plan, Step::FeedStart, false, NULL);
    plan = WithStep(plan, Step::Check, false, NULL);
    foreach (cell, entities) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        if (entity->parent.active_before_switch)
            plan = WithStep(plan, Step::Move, false, entity);
        else if (entity->parent.closed != NULL)
            plan = WithStep(plan, Step::MoveClosed, false, entity);
    }
    plan = WithStep(plan, Step::Switch, false, NULL);
    plan = WithStep(plan, Step::AnomalyCheck, true, NULL);
    foreach (cell, entities) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        if (MovesAfterSwitch(entity)) plan = WithStep(plan, Step::Move, true, entity);
    }
    plan = WithStep(plan, Step::FeedStop, true, NULL);
    return WithStep(plan, Step::Finish, true, NULL);
}

static bool Recorded(const ProjectEntity* entity, Step step) {
    return entity->done[(int)step];
}

// By what is in the child if that can be seen, else by the record.
static bool NoneLeft(const ProjectEntity* entity, const char* condition, bool recorded) {
    Known left = ChildHas(entity, condition);
    return left == Known::Unknown ? recorded : left == Known::No;
}

static bool IsDone(const ProjectKey* key, const Planned* planned, const ProjectEntity* entity) {
    Step step = planned->step;
    bool recorded = Recorded(entity, step);
    if (Recorded(entity, Step::Finish)) return true;
    // Switched or not: without them rows may be nowhere.
    if (step == Step::Prepare) return recorded && HasChild(entity);
    if (step == Step::FeedStart && FeedWasLost(key->schema, key->tenant, key->project, entity)) return false;
    // A switch against what was found overrides what comes before it.
    if (!planned->after_switch && Recorded(entity, Step::Switch)) return true;
    switch (step) {
        case Step::FeedStart: return recorded || FeedIsSeen(key, entity) == Known::Yes;
        case Step::MoveClosed:
            // Rows without a document do not move.
            return NoneLeft(entity, psprintf("(%s\n) AND _doc IS NOT NULL", entity->parent.closed), recorded);
        case Step::Move:
            // Before the switch a feed at work may never leave the child empty.
            if (!planned->after_switch && recorded) return true;
            return !HasChild(entity) || NoneLeft(entity, "true", recorded);
        case Step::AnomalyCheck: {
            EntityFacts facts = FactsOf(key, entity);
            return recorded && OpenCasesOf(&facts) == NULL;
        }
        default: return recorded;
    }
}

static char* Ago(TimestampTz time) {
    return PrettyDuration(Max(GetCurrentTimestamp() - time, 0) / 1e6);
}

// "; the feed last wrote 2 min ago", or "" if that is not known.
static const char* FeedLastWrote(const EntityFacts* facts) {
    return facts->feed_at != 0 ? psprintf("; the feed last wrote %s ago", Ago(facts->feed_at)) : "";
}

// A CALL vm_move of the child that is at work, or NULL.
static char* MoveUnderWay(Oid schema, const ProjectEntity* entity) {
    SqlArg args[] = {OidArg(REGCLASSOID, entity->child)};
    SqlResult row =
        RunAsOwner(schema,
                   psprintf("SELECT percent::float8, extract(epoch FROM eta)::float8, waits_for "
                            "FROM %s WHERE child = $1 AND ended_at IS NULL AND state IN ('running', "
                            "'waiting') ORDER BY move_id LIMIT 1",
                            ExtensionName(schema, "vm_progress")),
                   args, 1, 3);
    if (!row.found) return NULL;
    return psprintf("a move of this child is under way: %.0f %%%s%s", DatumGetFloat8(row.value[0]),
                    row.null[1] ? "" : psprintf(", %s left", PrettyDuration(DatumGetFloat8(row.value[1]))),
                    row.null[2] ? "" : psprintf(", waits for %s", TextDatumGetCString(row.value[2])));
}

// Rows that a move leaves where they are, or NULL if there are others.
static char* HalfRows(const ProjectEntity* entity, const EntityFacts* facts) {
    if (ChildHas(entity, "_doc IS NULL") != Known::Yes || ChildHas(entity, "_doc IS NOT NULL") != Known::No)
        return NULL;
    SafePath path = EnterSafePath();
    SqlResult count =
        RunSql(psprintf("SELECT count(*) FROM ONLY %s", QualifiedName(entity->child)), NULL, 0, 1);
    LeaveSafePath(path);
    int64 n = DatumGetInt64(count.value[0]);
    return psprintf(INT64_FORMAT " %s%s", n, n == 1 ? "document is a half row" : "documents are half rows",
                    FeedLastWrote(facts));
}

// Where the open cases of an entity are, and what to do with them.
static char* Decide(const ProjectKey* key, const ProjectEntity* entity, const EntityFacts* facts) {
    char* child = quote_literal_cstr(QualifiedName(entity->child));
    char* anomalies = psprintf(
        "decide each with %s: SELECT * FROM %s WHERE child = %s::regclass AND resolved_at IS NULL;",
        CallName(key->schema, "vm_resolve_anomaly"), ExtensionName(key->schema, "vm_anomaly"), child);
    char* quarantine = psprintf(
        "mend and retry: SELECT * FROM %s(%s); what cannot be mended is given up with %s;",
        CallName(key->schema, "vm_retry_quarantine"), child, CallName(key->schema, "vm_settle_quarantine"));
    if (facts->anomalies == 0) return quarantine;
    return facts->quarantined == 0 ? anomalies : psprintf("%s %s", anomalies, quarantine);
}

static char* Override(const ProjectKey* key) {
    return psprintf("%s with an override_reason", CallName(key->schema, "vm_switch"));
}

// The first entity with open cases.
static void ExplainOpenCases(const ProjectKey* key, List* entities, Answer* answer) {
    ListCell* cell;
    foreach (cell, entities) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        if (!HasChild(entity)) continue;
        EntityFacts facts = FactsOf(key, entity);
        char* open = OpenCasesOf(&facts);
        if (open == NULL) continue;
        bool one = facts.anomalies + facts.quarantined == 1;
        answer->why_not_yet = psprintf("%s of %s %s open", open, entity->parent.entity, one ? "is" : "are");
        answer->do_first = Decide(key, entity, &facts);
        return;
    }
}

static char* SourceScripts(Oid schema, List* entities) {
    StringInfoData calls;
    initStringInfo(&calls);
    ListCell* cell;
    foreach (cell, entities) {
        const char* mapping = quote_literal_cstr(((const ProjectEntity*)lfirst(cell))->parent.mapping);
        char* call = psprintf("SELECT %s(%s);", CallName(schema, "vm_source_checks"), mapping);
        if (strstr(calls.data, call) != NULL) continue;
        appendStringInfo(&calls, "%s%s", calls.len > 0 ? " " : "", call);
    }
    return psprintf("run in mongosh what this prints: %s", calls.data);
}

// The latest checks of those that have not passed.
static void ExplainCheck(const ProjectKey* key, List* missing, Answer* answer) {
    StringInfoData why;
    initStringInfo(&why);
    ListCell* cell;
    foreach (cell, missing) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        EntityFacts facts = FactsOf(key, entity);
        if (facts.failed_checks == NULL) continue;
        bool half = strstr(facts.failed_checks, "half_row") != NULL;
        appendStringInfo(&why, "%s%s: check found %s%s", why.len > 0 ? "; " : "", entity->parent.entity,
                         facts.failed_checks, half ? FeedLastWrote(&facts) : "");
    }
    if (why.len == 0) {
        answer->do_first = pstrdup("let the feed finish its first copy");
        return;
    }
    answer->why_not_yet = why.data;
    answer->do_first = psprintf("mend that and check again; or %s", Override(key));
}

static void ExplainMove(const ProjectKey* key, const ProjectEntity* entity, Answer* answer) {
    answer->why_not_yet = MoveUnderWay(key->schema, entity);
    MoveControl control = ReadControl(key->schema, entity->child);
    if (control.paused_by != NULL) {
        if (answer->why_not_yet == NULL)
            answer->why_not_yet =
                psprintf("%s: by %s, %s ago", kMovesPaused, control.paused_by, Ago(control.paused_at));
        answer->do_first = psprintf("SELECT %s(%s);", CallName(key->schema, "vm_resume_move"),
                                    quote_literal_cstr(QualifiedName(entity->child)));
    }
    if (answer->why_not_yet != NULL) return;
    EntityFacts facts = FactsOf(key, entity);
    answer->why_not_yet = HalfRows(entity, &facts);
    if (answer->why_not_yet != NULL)
        answer->do_first = psprintf(
            "let the feed bring the documents, or delete these rows: DELETE FROM ONLY %s WHERE _doc "
            "IS NULL;",
            QualifiedName(entity->child));
}

static char* StartFeed(const ProjectKey* key, List* missing) {
    bool again = false;
    ListCell* cell;
    foreach (cell, missing)
        again |= FeedWasLost(key->schema, key->tenant, key->project, (const ProjectEntity*)lfirst(cell));
    return psprintf("%s: SELECT %s(%s, %s);",
                    again ? "let the feed load the collection once more" : "start the feed",
                    CallName(key->schema, "vm_feed_task"), quote_literal_cstr(key->tenant),
                    quote_literal_cstr(key->project));
}

// Why not yet, and what to do outside before.
static void Explain(const ProjectKey* key, Step step, List* missing, Answer* answer) {
    switch (step) {
        case Step::SourceCheck: answer->do_first = SourceScripts(key->schema, missing); return;
        case Step::FeedStart: answer->do_first = StartFeed(key, missing); return;
        case Step::FeedStop: answer->do_first = pstrdup("stop the feed and remove its task"); return;
        case Step::Check: ExplainCheck(key, missing, answer); return;
        case Step::MoveClosed:
        case Step::Move: ExplainMove(key, (const ProjectEntity*)linitial(missing), answer); return;
        case Step::Switch:
            ExplainOpenCases(key, missing, answer);
            if (answer->why_not_yet != NULL)
                answer->do_first = psprintf("%s or %s", answer->do_first, Override(key));
            return;
        case Step::AnomalyCheck: ExplainOpenCases(key, missing, answer); return;
        case Step::Prepare:
        case Step::Finish: return;
    }
}

// The entities that have not done a step.
static List* MissingOf(const ProjectKey* key, const Planned* planned, List* entities) {
    List* missing = NIL;
    ListCell* cell;
    foreach (cell, entities) {
        ProjectEntity* entity = (ProjectEntity*)lfirst(cell);
        if (planned->entity != NULL && planned->entity != entity) continue;
        if (!IsDone(key, planned, entity)) missing = lappend(missing, entity);
    }
    return missing;
}

char* StatementBefore(const ProjectKey* key, Step step, List* entities, bool all_entities) {
    ListCell* cell;
    foreach (cell, PlanOf(entities)) {
        const Planned* planned = (const Planned*)lfirst(cell);
        List* missing = MissingOf(key, planned, entities);
        bool all = all_entities && planned->entity == NULL && list_length(missing) == list_length(entities);
        if (missing != NIL)
            return StatementOf(key, planned->step, all ? NULL : (const ProjectEntity*)linitial(missing));
        if (planned->step == step) break;
    }
    return NULL;
}

static Answer NextOf(const ProjectKey* key, List* entities) {
    List* plan = PlanOf(entities);
    Answer answer = {0, list_length(plan), "done", NULL, NULL, NULL, NULL};
    ListCell* cell;
    foreach (cell, plan) {
        const Planned* planned = (const Planned*)lfirst(cell);
        List* missing = MissingOf(key, planned, entities);
        if (missing == NIL) continue;
        const ProjectEntity* first = (const ProjectEntity*)linitial(missing);
        bool all = planned->entity == NULL && list_length(missing) == list_length(entities);
        answer.number = foreach_current_index(cell) + 1;
        answer.step = WordOf(planned->step);
        answer.entity = all ? NULL : first->parent.entity;
        answer.statement = StatementOf(key, planned->step, all ? NULL : first);
        Explain(key, planned->step, missing, &answer);
        break;
    }
    return answer;
}

// Children that go while they are waited for take the record with them: it is read again.
static List* EntitiesThatStay(const ProjectKey* key) {
    for (;;) {
        List* entities = ProjectEntities(key->schema, key->tenant, key->project, NULL, false);
        bool stay = true;
        ListCell* cell;
        foreach (cell, entities) {
            const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
            stay &= !IsNamed(entity) || HasChild(entity);
        }
        if (stay) return entities;
    }
}

extern "C" {

// vm_next(tenant, project) → (step_number, steps, step, entity, statement, why_not_yet, do_first), one row.
// step_number: of `steps` in this project's own order. statement: runs as it is printed, in this session.
// why_not_yet NULL: it may run now. After the last step: step is done, all else NULL. Rows are looked for as
// RoleOfConditions says; who may not read a child gets the answer from the record. Errors: no such project
// (22023).
Datum vm_next(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    TupleDesc desc;
    if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    ProjectKey key = {ExtensionSchema(fcinfo), text_to_cstring(PG_GETARG_TEXT_PP(0)),
                      text_to_cstring(PG_GETARG_TEXT_PP(1))};
    Answer answer = NextOf(&key, EntitiesThatStay(&key));
    const char* texts[] = {answer.step, answer.entity, answer.statement, answer.why_not_yet, answer.do_first};
    Datum values[2 + lengthof(texts)] = {Int32GetDatum(answer.number), Int32GetDatum(answer.steps)};
    bool nulls[2 + lengthof(texts)] = {answer.number == 0, answer.number == 0};
    for (size_t i = 0; i < lengthof(texts); i++) {
        nulls[2 + i] = texts[i] == NULL;
        if (texts[i] != NULL) values[2 + i] = CStringGetTextDatum(texts[i]);
    }
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
}
