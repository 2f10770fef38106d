// vm_preview: a document tried, nothing written.
#include "pg/server/caught.h"
#include "pg/server/compat.h"
#include "pg/trigger/document.h"
#include "pg/mapping/plan_cache.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_preview);
}

// A column's value as text, printed where an error can be caught.
struct Printing {
    CompiledMapping* compiled;
    uint32 column;
    const wall::Row* row;
    char* text;
};

static void PrintValue(void* arg) {
    Printing* p = (Printing*)arg;
    ColumnIo* io = p->compiled->io[p->column];
    bool null, varlena;
    Oid output;
    Datum value = ValueDatum(io, p->row, &p->row->values[p->column], &null);
    if (null) return;
    Oid element = OidIsValid(io->element_domain) ? io->element_domain : io->type;
    getTypeOutputInfo(io->array ? get_array_type(element) : io->type, &output, &varlena);
    p->text = OidOutputFunctionCall(output, value);
}

// A document read and converted where jsonb_in may raise its errors.
struct Reading {
    vm::Workspace* space;
    CompiledMapping* compiled;
    wall::Text doc;
    wall::Row row;
    wall::Problem problem;
};

static void ReadDocument(void* arg) {
    Reading* r = (Reading*)arg;
    TransformDocument(r->space, r->compiled, r->doc, true, &r->row, &r->problem);
}

static void Put(ReturnSetInfo* result, const char* column, const char* value, const char* source,
                const char* problem) {
    const char* texts[] = {column, value, source, problem};
    Datum values[4];
    bool nulls[4];
    for (int i = 0; i < 4; i++) {
        nulls[i] = texts[i] == NULL;
        values[i] = nulls[i] ? (Datum)0 : CStringGetTextDatum(texts[i]);
    }
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

extern "C" {

// vm_preview(mapping text, child regclass, doc text, VARIADIC args text[]) → (column_name, value, source,
// problem)
Datum vm_preview(PG_FUNCTION_ARGS) {
    InitMaterializedSRF(fcinfo, 0);
    ReturnSetInfo* result = (ReturnSetInfo*)fcinfo->resultinfo;
    RequireArguments(fcinfo, 3);
    char* mapping = text_to_cstring(PG_GETARG_TEXT_PP(0));
    text* doc = PG_GETARG_TEXT_PP(2);
    int nargs = 0;
    char** args = NULL;
    if (!PG_ARGISNULL(3)) {
        Datum* elements;
        bool* nulls;
        deconstruct_array(PG_GETARG_ARRAYTYPE_P(3), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls,
                          &nargs);
        args = (char**)palloc(sizeof(char*) * (nargs + 1));
        for (int i = 0; i < nargs; i++) args[i] = nulls[i] ? pstrdup("") : TextDatumGetCString(elements[i]);
    }
    Relation rel = relation_open(PG_GETARG_OID(1), AccessShareLock);
    CompiledMapping* compiled =
        CompileMapping(ExtensionSchema(fcinfo), mapping, rel, args, nargs, CurrentMemoryContext);
    vm::Workspace* space = TakeWorkspace();
    DocumentContext about = {RelationGetRelationName(rel), NULL, rel, compiled};
    Reading reading = {space, compiled, {VARDATA_ANY(doc), VARSIZE_ANY_EXHDR(doc)}, {}, {}};
    ErrorData* error = RunCaught(ReadDocument, &reading);
    char* complaint = NULL;
    if (error != NULL)
        complaint = ReadableMessage(error);
    else if (reading.problem.reason != wall::Reason::None)
        complaint = WordProblem(&about, &reading.problem).message;
    if (complaint != NULL) Put(result, NULL, NULL, NULL, complaint);

    for (uint32 c = 0; complaint == NULL && c < compiled->info.columns; c++) {
        char source[256];
        char* problem = NULL;
        Printing printing = {compiled, c, &reading.row, NULL};
        const wall::Problem* found = &reading.row.problems[c];
        wall::SourceOf(compiled->plan, c, &reading.row.values[c], source, sizeof(source));
        if (found->reason != wall::Reason::None) {
            problem = WordProblem(&about, found).message;
            if (found->path[0]) vm::CopyCut(source, found->path);
        } else if ((error = RunCaught(PrintValue, &printing)) != NULL) {
            problem = ReadableMessage(error);
            if (compiled->io[c]->array)
                snprintf(source + strlen(source), sizeof(source) - strlen(source), "[%d]",
                         compiled->io[c]->element);
        }
        Put(result, compiled->io[c]->name, problem ? NULL : printing.text, source[0] ? source : NULL,
            problem);
    }
    GiveBackWorkspace(space, reading.doc.len);
    relation_close(rel, AccessShareLock);
    MemoryContextDelete(compiled->context);
    return (Datum)0;
}
}
