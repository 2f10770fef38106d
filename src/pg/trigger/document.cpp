#include "pg/trigger/document.h"

static vm::Workspace* workspace = NULL;
static bool busy = false;
static int busy_level = 0;  // nesting of the transaction that took it

static vm::Workspace* Checked(vm::Workspace* space) {
    if (space == NULL) ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    return space;
}

// An error has left the workspace taken: it is given back with the (sub)transaction that took it.
static void Reset(void) {
    if (busy && busy_level >= GetCurrentTransactionNestLevel()) GiveBackWorkspace(workspace, SIZE_MAX);
}

static void OnTransactionEnd(XactEvent event, void*) {
    if (event == XACT_EVENT_ABORT) Reset();
}

static void OnSubTransactionEnd(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    if (event == SUBXACT_EVENT_ABORT_SUB) Reset();
}

static void FreeWorkspace(void* space) {
    wall::Free((vm::Workspace*)space);
}

vm::Workspace* TakeWorkspace(void) {
    if (!busy) {
        if (workspace == NULL) {
            workspace = Checked(wall::NewWorkspace());
            RegisterXactCallback(OnTransactionEnd, NULL);
            RegisterSubXactCallback(OnSubTransactionEnd, NULL);
        }
        busy = true;
        busy_level = GetCurrentTransactionNestLevel();
        return workspace;
    }
    MemoryContextCallback* callback = (MemoryContextCallback*)palloc0(sizeof(MemoryContextCallback));
    callback->func = FreeWorkspace;
    callback->arg = Checked(wall::NewWorkspace());
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return (vm::Workspace*)callback->arg;
}

void GiveBackWorkspace(vm::Workspace* space, size_t document_size) {
    if (space != workspace) return;
    if (document_size > 1024 * 1024) wall::Trim(space);
    busy = false;
}

static bool HasUnicodeEscape(wall::Text doc) {
    const char* end = doc.data + doc.len;
    for (const char* p = doc.data; (p = (const char*)memchr(p, '\\', end - p)) != NULL; p += 2) {
        if (end - p < 2) return false;
        if (p[1] == 'u') return true;
    }
    return false;
}

// The document as the server reads it. Errors are json_in's and jsonb_in's own; the first builds nothing and
// is quick to refuse what is cut off.
static wall::Text Judge(wall::Text doc) {
    char* text = (char*)MemoryContextAllocHuge(CurrentMemoryContext, doc.len + 1);
    memcpy(text, doc.data, doc.len);
    text[doc.len] = '\0';
    DirectFunctionCall1(json_in, CStringGetDatum(text));
    Jsonb* jsonb = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
    pfree(text);
    StringInfoData canonical;
    initStringInfo(&canonical);
    JsonbToCString(&canonical, &jsonb->root, VARSIZE(jsonb));
    return {canonical.data, (size_t)canonical.len};
}

static wall::Reason Try(vm::Workspace* space, CompiledMapping* compiled, wall::Text doc, bool all,
                        bool judged, wall::Row* row, wall::Problem* problem) {
    wall::ReadOptions options = {};
    options.utf8 = GetDatabaseEncoding() == PG_UTF8;
    options.all = all;
    options.judged = judged;
    options.cancel = &InterruptPending;
    // What an escape stands for in another encoding only the server knows.
    if (!options.utf8 && !judged && HasUnicodeEscape(doc)) return wall::Reason::NeedsServer;
    wall::Reason reason = wall::Transform(space, compiled->plan, doc, options, row, problem);
    if (reason != wall::Reason::Cancelled) return reason;
    CHECK_FOR_INTERRUPTS();
    options.cancel = NULL;  // some other interrupt, or held off: go on without asking
    *problem = wall::Problem();
    return wall::Transform(space, compiled->plan, doc, options, row, problem);
}

wall::Reason TryDocument(vm::Workspace* space, CompiledMapping* compiled, wall::Text doc, bool all,
                         wall::Row* row, wall::Problem* problem) {
    return Try(space, compiled, doc, all, false, row, problem);
}

wall::Reason TransformDocument(vm::Workspace* space, CompiledMapping* compiled, wall::Text doc, bool all,
                               wall::Row* row, wall::Problem* problem) {
    wall::Reason reason = Try(space, compiled, doc, all, false, row, problem);
    if (reason != wall::Reason::NotJson && reason != wall::Reason::NeedsServer) return reason;
    *problem = wall::Problem();
    return Try(space, compiled, Judge(doc), all, true, row, problem);
}

static int SqlState(const char* s) {
    return MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4]);
}

ProblemWords WordProblem(const DocumentContext* about, const wall::Problem* problem) {
    const vm::ReasonInfo& info = vm::Info(problem->reason);
    ProblemWords words = {};
    const char* type = "";
    words.sqlerrcode = SqlState(info.sqlstate);
    words.hint = info.hint ? pstrdup(info.hint) : NULL;
    words.field = problem->path[0] ? pstrdup(problem->path) : NULL;
    if (problem->column >= 0) {
        for (int i = 0; i < about->compiled->table.count; i++)
            if (about->compiled->info.column_of[i] == problem->column) {
                words.column = pstrdup(about->compiled->table.specs[i].name);
                type = about->compiled->table.specs[i].type_name;
            }
    }
    if (problem->text[0]) type = problem->text;
    const char* value = problem->value;
    switch (problem->reason) {
        case wall::Reason::RootNotObject: words.message = pstrdup("document is not a JSON object"); break;
        case wall::Reason::NumberRange:
            words.message = psprintf("value \"%s\" is out of range for type %s", value, type);
            break;
        case wall::Reason::HasFraction:
            words.message = psprintf("value \"%s\" is not a whole number, as type %s wants it", value, type);
            break;
        case wall::Reason::InvalidTime:
            words.message = psprintf("invalid date or time for type %s: \"%s\"", type, value);
            break;
        case wall::Reason::TimeRange:
            words.message = psprintf("date or time out of range for type %s: \"%s\"", type, value);
            break;
        case wall::Reason::InvalidObjectId:
            words.message = psprintf("invalid ObjectId: \"%s\"", value);
            break;
        case wall::Reason::NotAnArray:
            words.message = psprintf("cannot take \"%s\" for a value of type %s", value, type);
            break;
        case wall::Reason::NotNull:
            words.message = psprintf("document has no value for column \"%s\", which may not be NULL",
                                     words.column ? words.column : "");
            break;
        case wall::Reason::TooDeep: words.message = pstrdup("document is nested too deeply"); break;
        case wall::Reason::TooLarge: words.message = pstrdup("document is too large for jsonb"); break;
        case wall::Reason::OutOfMemory:
            words.message = pstrdup("out of memory while reading a document");
            break;
        case wall::Reason::InvalidText:
        case wall::Reason::Composite:
            words.message = psprintf("invalid input syntax for type %s: \"%s\"", type, value);
            break;
        default: words.message = psprintf("document could not be transformed: %s", info.name); break;
    }
    StringInfoData detail;
    initStringInfo(&detail);
    if (words.field)
        appendStringInfo(&detail, "Field %s, column \"%s\", ", words.field, words.column ? words.column : "");
    else if (words.column)
        appendStringInfo(&detail, "Column \"%s\", ", words.column);
    appendStringInfo(&detail, "document _id %s, table %s.", about->id ? about->id : "(none)", about->table);
    detail.data[0] = (char)pg_toupper((unsigned char)detail.data[0]);
    words.detail = detail.data;
    return words;
}

void RaiseProblem(const DocumentContext* about, const wall::Problem* problem) {
    ProblemWords words = WordProblem(about, problem);
    ereport(ERROR,
            (errcode(words.sqlerrcode), errmsg("%s", words.message), errdetail("%s", words.detail),
             words.hint ? errhint("%s", words.hint) : 0,
             about->rel ? err_generic_string(PG_DIAG_SCHEMA_NAME,
                                             get_namespace_name(RelationGetNamespace(about->rel)))
                        : 0,
             about->rel ? err_generic_string(PG_DIAG_TABLE_NAME, RelationGetRelationName(about->rel)) : 0,
             words.column ? err_generic_string(PG_DIAG_COLUMN_NAME, words.column) : 0));
}

char* RowId(HeapTuple tuple, TupleDesc desc, const TableColumns* table) {
    if (table->id_att != InvalidAttrNumber) {
        bool null;
        Datum id = heap_getattr(tuple, table->id_att, desc, &null);
        if (null) return NULL;
        Oid output;
        bool varlena;
        getTypeOutputInfo(TupleDescAttr(desc, table->id_att - 1)->atttypid, &output, &varlena);
        return OidOutputFunctionCall(output, id);
    }
    return NULL;
}
