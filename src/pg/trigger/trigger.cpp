// The transform triggers: feed's document in, row out.
#include "pg/feed/feed_seen.h"
#include "pg/server/compat.h"
#include "pg/server/tables.h"
#include "pg/trigger/half_row.h"
#include "pg/trigger/judge_row.h"
#include "pg/trigger/quarantine.h"

extern "C" {
#include <access/detoast.h>

PG_FUNCTION_INFO_V1(vm_transform);
PG_FUNCTION_INFO_V1(transform_voucher);
PG_FUNCTION_INFO_V1(transform_campaign);
}

using wall::Reason;

// What lives for one statement, in fn_extra.
struct StatementState {
    Oid schema;
    PlanEntry* entry;
    bool asked;  // whether the child has open quarantine, and the answer
    bool quarantined;
};

static StatementState* State(FunctionCallInfo fcinfo) {
    StatementState* state = (StatementState*)fcinfo->flinfo->fn_extra;
    if (state == NULL) {
        state = (StatementState*)MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(StatementState));
        state->schema = ExtensionSchema(fcinfo);
        fcinfo->flinfo->fn_extra = state;
    }
    return state;
}

static void CheckCall(FunctionCallInfo fcinfo, const char* function) {
    if (!CALLED_AS_TRIGGER(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                        errmsg("function %s can only be called as a trigger", function)));
    TriggerEvent event = ((TriggerData*)fcinfo->context)->tg_event;
    if (!TRIGGER_FIRED_FOR_ROW(event) || !TRIGGER_FIRED_BEFORE(event) ||
        (!TRIGGER_FIRED_BY_INSERT(event) && !TRIGGER_FIRED_BY_UPDATE(event)))
        ereport(ERROR,
                (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                 errmsg("function %s must be fired BEFORE INSERT OR UPDATE, FOR EACH ROW", function),
                 errhint("CREATE TRIGGER ... BEFORE INSERT OR UPDATE OF _doc ON child FOR EACH ROW EXECUTE "
                         "FUNCTION %s(...).",
                         function)));
}

// Whether two _doc datums hold the same bytes, without detoasting where that can be told.
static bool SameDocument(Datum a, Datum b) {
    struct varlena* x = (struct varlena*)DatumGetPointer(a);
    struct varlena* y = (struct varlena*)DatumGetPointer(b);
    if (VARSIZE_ANY(x) == VARSIZE_ANY(y) && memcmp(x, y, VARSIZE_ANY(x)) == 0) return true;
    if (toast_raw_datum_size(a) != toast_raw_datum_size(b)) return false;
    x = PG_DETOAST_DATUM_PACKED(a);
    y = PG_DETOAST_DATUM_PACKED(b);
    return memcmp(VARDATA_ANY(x), VARDATA_ANY(y), VARSIZE_ANY_EXHDR(x)) == 0;
}

// The row to store; for INSERT NULL to store none.
static HeapTuple TransformRow(RowWork* work, StatementState* state) {
    Oid child = RelationGetRelid(work->trigger->tg_relation);
    wall::Problem problem;
    wall::Row row;
    HeapTuple formed = NULL;
    if (!work->compiled->info.quarantine) {
        if (ReadWithContext(work, &row, &problem) != Reason::None) {
            NameDocument(work);
            RaiseProblem(&work->about, &problem);
        }
        formed = JudgeRow(work, &row);
    } else {
        ProblemWords words = {};
        Reason reason = TryDocument(work->space, work->compiled, work->text, false, &row, &problem);
        if (reason == Reason::NotJson || reason == Reason::NeedsServer) {
            problem = wall::Problem();
            formed = JudgeInSubtransaction(work, NULL, &problem, &words);
        } else if (reason == Reason::None) {
            formed = work->compiled->any_fallible ? JudgeInSubtransaction(work, &row, &problem, &words)
                                                  : JudgeRow(work, &row);
        }
        if (formed == NULL) {
            NameDocument(work);
            if (words.message == NULL) words = WordProblem(&work->about, &problem);
            Quarantine(work->compiled, work->trigger->tg_relation, work->about.id,
                       pnstrdup(work->text.data, work->text.len), work->old ? "UPDATE" : "INSERT", &words);
            state->asked = state->quarantined = true;
            return work->old;
        }
    }
    // A document that was not taken settles nothing, and a retry settles by itself.
    if (work->kept || quarantine_retry) return formed;
    if (!state->asked) {
        state->quarantined = AnyQuarantined(state->schema, child);
        state->asked = true;
    }
    if (state->quarantined) {
        NameDocument(work);
        if (work->about.id != NULL) SettleQuarantine(state->schema, child, work->about.id, work->old == NULL);
    }
    return formed;
}

static Datum TransformTrigger(FunctionCallInfo fcinfo, const char* function, const char* mapping) {
    CheckCall(fcinfo, function);
    TriggerData* trigger = (TriggerData*)fcinfo->context;
    Relation rel = trigger->tg_relation;
    int first_arg = 0;
    if (mapping == NULL) {
        if (trigger->tg_trigger->tgnargs < 1)
            ereport(ERROR, (errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                            errmsg("trigger \"%s\" does not name a mapping", trigger->tg_trigger->tgname),
                            errhint("EXECUTE FUNCTION vm_transform('mapping', 'tenant', 'project').")));
        mapping = trigger->tg_trigger->tgargs[0];
        first_arg = 1;
    }
    StatementState* state = State(fcinfo);
    if (state->entry == NULL || state->entry->stale)
        state->entry = LookUpPlan(state->schema, mapping, rel, trigger->tg_trigger, first_arg);
    if (FeedIsNews(state->entry->feed_noted) && !quarantine_retry) {
        state->entry->feed_noted = GetCurrentStatementStartTimestamp();
        NoteFeed(state->schema, RelationGetRelid(rel));
    }
    CompiledMapping* compiled = state->entry->compiled;
    if (compiled->table.doc_att == InvalidAttrNumber)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("table %s has no column _doc", RelationGetRelationName(rel)),
                 errhint("A child has the columns _id and _doc beside its parent's; see vm_create_child.")));

    bool update = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event);
    RowWork work = {};
    work.trigger = trigger;
    work.compiled = compiled;
    work.desc = RelationGetDescr(rel);
    work.old = update ? trigger->tg_trigtuple : NULL;
    work.incoming = update ? trigger->tg_newtuple : trigger->tg_trigtuple;

    bool null;
    Datum doc;
    if (update) {
        doc = heap_getattr(work.incoming, compiled->table.doc_att, work.desc, &null);
    } else {
        Deform(&work);
        doc = work.values[compiled->table.doc_att - 1];
        null = work.nulls[compiled->table.doc_att - 1];
    }
    if (null)
        return PointerGetDatum(update ? work.incoming : HalfRow(&compiled->table, work.incoming, work.desc));
    if (update) {
        Datum before = heap_getattr(work.old, compiled->table.doc_att, work.desc, &null);
        if (!null && SameDocument(before, doc)) return PointerGetDatum(work.incoming);
    }
    work.text = DocumentText(doc, compiled->table.doc_type);
    work.space = TakeWorkspace();
    work.about.rel = rel;
    work.about.compiled = compiled;
    HeapTuple result = TransformRow(&work, state);
    GiveBackWorkspace(work.space, work.text.len);
    return PointerGetDatum(result);
}

extern "C" {

// vm_transform() trigger: arguments mapping, tenant, project, ...
Datum vm_transform(PG_FUNCTION_ARGS) {
    return TransformTrigger(fcinfo, "vm_transform", NULL);
}

// transform_voucher() trigger: arguments tenant, project
Datum transform_voucher(PG_FUNCTION_ARGS) {
    return TransformTrigger(fcinfo, "transform_voucher", "voucher");
}

// transform_campaign() trigger: arguments tenant, project
Datum transform_campaign(PG_FUNCTION_ARGS) {
    return TransformTrigger(fcinfo, "transform_campaign", "campaign");
}
}
