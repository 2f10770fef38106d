#include "pg/trigger/form_row.h"

#include "pg/server/caught.h"
#include "pg/server/tables.h"

extern "C" {
#include <utils/fmgroids.h>
}

using wall::Reason;

void NameDocument(RowWork* work) {
    if (work->about.table != NULL) return;
    work->about.table = QualifiedName(RelationGetRelid(work->trigger->tg_relation));
    work->about.id = RowId(work->incoming, work->desc, &work->compiled->table);
    if (work->about.id != NULL) return;
    char* id = (char*)palloc(96);
    wall::DocumentId(work->space, id, 96);
    if (id[0]) work->about.id = id;
}

const char* FieldOf(const RowWork* work) {
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

Reason ReadWithContext(RowWork* work, wall::Row* row, wall::Problem* problem) {
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

void Deform(RowWork* work) {
    int natts = work->desc->natts;
    work->values = (Datum*)palloc(natts * (sizeof(Datum) + sizeof(bool)));
    work->nulls = (bool*)(work->values + natts);
    heap_deform_tuple(work->incoming, work->desc, work->values, work->nulls);
}

HeapTuple FormRow(RowWork* work, const wall::Row* row) {
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

HeapTuple KeepRow(const RowWork* work) {
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
