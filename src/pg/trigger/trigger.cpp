// The transform triggers: feed's document in, row out.
#include "pg/trigger/anomaly.h"
#include "pg/server/caught.h"
#include "pg/server/compat.h"
#include "pg/trigger/document.h"
#include "pg/feed/feed_seen.h"
#include "pg/trigger/half_row.h"
#include "pg/mapping/plan_cache.h"
#include "pg/trigger/quarantine.h"
#include "pg/server/tables.h"

extern "C" {
#include <access/detoast.h>
#include <utils/fmgroids.h>
#include <utils/fmgrprotos.h>

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

// One row's way through the trigger.
struct RowWork {
    TriggerData* trigger;
    CompiledMapping* compiled;
    vm::Workspace* space;
    TupleDesc desc;
    HeapTuple incoming;  // as the feed sent it
    HeapTuple old;       // NULL for INSERT
    Datum* values;       // the incoming row's, to be filled; NULL until they are wanted
    bool* nulls;
    wall::Text text;  // the document
    DocumentContext about;
    uint32 column;  // being converted, and its value; NULL between columns
    const wall::Value* value;
    bool kept;  // the document was late: what stood stays
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

static int64 Micros(const ColumnIo* io, int64 value) {
    if (io->kind != wall::Kind::Date) return value;
    return value == PG_INT32_MAX   ? PG_INT64_MAX
           : value == PG_INT32_MIN ? PG_INT64_MIN
                                   : value * USECS_PER_DAY;
}

// The greatest of a row's watermark columns; false if it has none.
static bool WatermarkOf(const RowWork* work, HeapTuple row, int64* watermark) {
    bool any = false;
    for (uint32 w = 0; w < work->compiled->info.watermarks; w++) {
        const ColumnIo* io = work->compiled->io[work->compiled->info.watermark[w]];
        bool null;
        Datum datum = heap_getattr(row, io->attno, work->desc, &null);
        if (null) continue;
        int64 t = Micros(io, io->kind == wall::Kind::Date ? DatumGetInt32(datum) : DatumGetInt64(datum));
        if (!any || t > *watermark) *watermark = t;
        any = true;
    }
    return any;
}

// Finds out what the document is called, once somebody wants to know: the row's _id, else the document's own.
static void NameDocument(RowWork* work) {
    if (work->about.table != NULL) return;
    work->about.table = QualifiedName(RelationGetRelid(work->trigger->tg_relation));
    work->about.id = RowId(work->incoming, work->desc, &work->compiled->table);
    if (work->about.id != NULL) return;
    char* id = (char*)palloc(96);
    wall::DocumentId(work->space, id, 96);
    if (id[0]) work->about.id = id;
}

// The field that filled a column, for messages.
static const char* FieldOf(const RowWork* work) {
    char path[256];
    wall::SourceOf(work->compiled->plan, work->column, work->value, path, sizeof(path));
    const ColumnIo* io = work->compiled->io[work->column];
    return io->array ? psprintf("%s[%d]", path, io->element) : pstrdup(path);
}

// Context of errors that the server's own functions raise.
static void OnServerError(void* arg) {
    RowWork* work = (RowWork*)arg;
    NameDocument(work);
    const char* id = work->about.id ? work->about.id : "(none)";
    if (work->value != NULL)
        errcontext("field %s, column \"%s\", document _id %s, table %s", FieldOf(work),
                   work->compiled->io[work->column]->name, id, work->about.table);
    else
        errcontext("document _id %s, table %s", id, work->about.table);
}

// While jsonb_in or a type's own function looks at the document, errors say which.
static Reason ReadWithContext(RowWork* work, wall::Row* row, wall::Problem* problem) {
    ErrorContextCallback callback = {error_context_stack, OnServerError, work};
    error_context_stack = &callback;
    Reason reason = TransformDocument(work->space, work->compiled, work->text, false, row, problem);
    error_context_stack = callback.previous;
    return reason;
}

// An _id for a row that came without one into a table that wants one: the document's own, else a random one.
static Datum DefaultId(RowWork* work) {
    char* id = (char*)palloc(256);
    wall::DocumentId(work->space, id, 256);
    if (id[0] == '\0')
        id = DatumGetCString(DirectFunctionCall1(uuid_out, OidFunctionCall0(F_GEN_RANDOM_UUID)));
    return TextAs(TupleDescAttr(work->desc, work->compiled->table.id_att - 1), id);
}

static void FillColumns(RowWork* work, const wall::Row* row, Datum* values, bool* nulls) {
    CompiledMapping* compiled = work->compiled;
    for (uint32 c = 0; c < compiled->info.columns; c++) {
        const wall::Value* value = &row->values[c];
        int i = compiled->io[c]->attno - 1;
        if (value->source == vm::kLeftAlone) {
            // INSERT has the default already. An UPDATE goes back to it, unless it would be another one each
            // time.
            if (work->old != NULL && compiled->io[c]->default_known) {
                values[i] = compiled->io[c]->default_value;
                nulls[i] = compiled->io[c]->default_null;
            }
            continue;
        }
        if (SimpleDatum(compiled->io[c], row, value, &values[i], &nulls[i])) continue;
        work->column = c;
        work->value = value;
        values[i] = ValueDatum(compiled->io[c], row, value, &nulls[i]);
        work->value = NULL;
    }
}

// FillColumns where the server's own functions may object: their errors say where, in readable length.
static void FillFallibleColumns(RowWork* work, const wall::Row* row, Datum* values, bool* nulls) {
    MemoryContext context = CurrentMemoryContext;
    PG_TRY();
    {
        ErrorContextCallback callback = {error_context_stack, OnServerError, work};
        error_context_stack = &callback;
        FillColumns(work, row, values, nulls);
        error_context_stack = callback.previous;
    }
    PG_CATCH();
    { RethrowReadable(context); }
    PG_END_TRY();
}

static void Deform(RowWork* work) {
    int natts = work->desc->natts;
    work->values = (Datum*)palloc(natts * (sizeof(Datum) + sizeof(bool)));
    work->nulls = (bool*)(work->values + natts);
    heap_deform_tuple(work->incoming, work->desc, work->values, work->nulls);
}

// The row with the document's columns.
static HeapTuple FormRow(RowWork* work, const wall::Row* row) {
    if (work->values == NULL) Deform(work);
    Datum* values = work->values;
    bool* nulls = work->nulls;
    if (work->compiled->any_fallible)
        FillFallibleColumns(work, row, values, nulls);
    else
        FillColumns(work, row, values, nulls);
    AttrNumber id = work->compiled->table.id_att;
    if (id != InvalidAttrNumber && nulls[id - 1] && TupleDescAttr(work->desc, id - 1)->attnotnull) {
        values[id - 1] = DefaultId(work);
        nulls[id - 1] = false;
    }
    return FormTuple(work->desc, &work->compiled->table.layout, values, nulls);
}

// The row that stands, with whatever the document does not fill as the feed sent it: the document is not
// taken.
static HeapTuple KeepRow(const RowWork* work) {
    int natts = work->desc->natts;
    Datum* values = (Datum*)palloc(natts * sizeof(Datum));
    bool* nulls = (bool*)palloc(natts);
    heap_deform_tuple(work->incoming, work->desc, values, nulls);
    for (uint32 c = 0; c <= work->compiled->info.columns; c++) {
        AttrNumber attno =
            c < work->compiled->info.columns ? work->compiled->io[c]->attno : work->compiled->table.doc_att;
        values[attno - 1] = heap_getattr(work->old, attno, work->desc, &nulls[attno - 1]);
    }
    return heap_form_tuple(work->desc, values, nulls);
}

static void WarnConcatenated(RowWork* work, const wall::Row* row) {
    NameDocument(work);
    const ColumnIo* io = work->compiled->io[row->concatenated];
    ereport(WARNING,
            (errcode(ERRCODE_WARNING),
             errmsg("column \"%s\" of document _id %s is no object", io->name,
                    work->about.id ? work->about.id : "(none)"),
             errdetail("The members that \"floor\" names were appended to it in an object of their own."),
             errhint("Mend the document at the source.")));
}

// Forms the row, unless what stands is newer: then that stays.
static HeapTuple JudgeRow(RowWork* work, const wall::Row* row) {
    if (row->concatenated >= 0) WarnConcatenated(work, row);
    HeapTuple formed = FormRow(work, row);

    int64 incoming = 0, stored = 0;
    if (work->old == NULL || !WatermarkOf(work, work->old, &stored) ||
        !WatermarkOf(work, formed, &incoming) || incoming >= stored) {
        if (work->compiled->constraints != NULL)
            CheckConstraints(work->compiled->constraints, work->trigger->tg_relation, formed, work->old);
        return formed;
    }

    NameDocument(work);
    ereport(
        WARNING,
        (errcode(ERRCODE_WARNING),
         errmsg("%s ANOMALY DETECTED - ID: %s, Incoming time: %s, Stored time: %s",
                str_toupper(work->compiled->mapping, strlen(work->compiled->mapping), DEFAULT_COLLATION_OID),
                work->about.id ? work->about.id : "<NULL>",
                DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(incoming))),
                DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(stored))))));
    Anomaly anomaly = {};
    anomaly.child = work->trigger->tg_relation;
    anomaly.id = work->about.id;
    anomaly.kind = "late_document";
    anomaly.incoming_time = incoming;
    anomaly.stored_time = stored;
    anomaly.incoming = formed;
    anomaly.stored = work->old;
    anomaly.document = pnstrdup(work->text.data, work->text.len);
    RecordAnomaly(work->compiled, &anomaly);
    work->kept = true;
    return KeepRow(work);
}

// JudgeRow where the server's errors can be caught.
struct CaughtWork {
    RowWork* work;
    const wall::Row* row;  // NULL: the document has to be put to jsonb_in first
    wall::Problem* problem;
    HeapTuple formed;
};

static void JudgeCaught(void* arg) {
    CaughtWork* caught = (CaughtWork*)arg;
    RowWork* work = caught->work;
    wall::Row judged;
    if (caught->row == NULL) {
        if (ReadWithContext(work, &judged, caught->problem) != Reason::None) return;
        caught->row = &judged;
    }
    caught->formed = JudgeRow(work, caught->row);
}

// Whether an error says something of the document, not of the server, the transaction or the caller's rights.
// A type's own function may raise nearly anything: 42P01 for a regclass, 0A000 for a conversion.
static bool IsDocumentsFault(int sqlerrcode) {
    switch (ERRCODE_TO_CATEGORY(sqlerrcode)) {
        case ERRCODE_INSUFFICIENT_RESOURCES:
        case ERRCODE_OPERATOR_INTERVENTION:
        case ERRCODE_SYSTEM_ERROR:
        case ERRCODE_TRANSACTION_ROLLBACK:
        case ERRCODE_INVALID_TRANSACTION_STATE:
        case ERRCODE_INTERNAL_ERROR: return false;
        default: return sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE;
    }
}

// JudgeRow in a subtransaction: what the server raises about the data becomes *words, and NULL comes back.
static HeapTuple JudgeInSubtransaction(RowWork* work, const wall::Row* row, wall::Problem* problem,
                                       ProblemWords* words) {
    CaughtWork caught = {work, row, problem, NULL};
    ErrorData* error = RunCaught(JudgeCaught, &caught);
    if (error == NULL) return caught.formed;
    if (!IsDocumentsFault(error->sqlerrcode)) ReThrowError(error);
    words->sqlerrcode = error->sqlerrcode;
    words->message = ReadableMessage(error);
    if (work->value != NULL) {
        words->column = work->compiled->io[work->column]->name;
        words->field = (char*)FieldOf(work);
    }
    return NULL;
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
