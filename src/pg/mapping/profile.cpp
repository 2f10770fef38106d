// vm_profile and vm_propose: what is in a heap of documents, and the table and mapping it asks for.
#include "pg/server/compat.h"
#include "pg/trigger/document.h"
#include "pg/server/tables.h"

extern "C" {
#include <utils/regproc.h>
#include <utils/varlena.h>

PG_FUNCTION_INFO_V1(vm_profile);
PG_FUNCTION_INFO_V1(vm_propose);
}

static void FreeProfile(void* profile) {
    wall::Free((vm::Profiler*)profile);
}

static vm::Profiler* OwnedProfile(void) {
    MemoryContextCallback* callback = (MemoryContextCallback*)palloc0(sizeof(MemoryContextCallback));
    vm::Profiler* profile = wall::NewProfile();
    if (profile == NULL) ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    callback->func = FreeProfile;
    callback->arg = profile;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    return profile;
}

// Reads every document of a table or view once, with the caller's rights. Freed with the current context.
static vm::Profiler* ProfileOf(Oid source) {
    AttrNumber doc_att = get_attnum(source, "_doc");
    char* name = QualifiedName(source);
    if (doc_att == InvalidAttrNumber)
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("table %s has no column _doc", name),
             errhint(
                 "Documents are profiled where a feed or COPY has put them, one a row, in a column _doc.")));
    vm::Profiler* profile = OwnedProfile();
    vm::Workspace* space = TakeWorkspace();
    wall::ReadOptions options = {};
    options.utf8 = GetDatabaseEncoding() == PG_UTF8;
    options.cancel = &InterruptPending;
    uint64 refused = 0;

    SafePath path = EnterSafePath();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    bool has_id = get_attnum(source, "_id") != InvalidAttrNumber;
    SPIParseOpenOptions open = {};
    open.read_only = true;
    Portal portal = SPI_cursor_parse_open(NULL,
                                          psprintf("SELECT _doc::text, %s FROM %s WHERE _doc IS NOT NULL",
                                                   has_id ? "_id::text" : "NULL::text", name),
                                          &open);
    MemoryContext each =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate profile", ALLOCSET_DEFAULT_SIZES);
    for (;;) {
        SPI_cursor_fetch(portal, true, 200);
        if (SPI_processed == 0) break;
        for (uint64 i = 0; i < SPI_processed; i++) {
            CHECK_FOR_INTERRUPTS();
            MemoryContext outer = MemoryContextSwitchTo(each);
            bool null, no_id;
            Datum doc = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null);
            Datum id = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &no_id);
            wall::Text id_text = no_id ? wall::Text{"", 0} : DocumentText(id, TEXTOID);
            if (wall::AddToProfile(profile, space, DocumentText(doc, TEXTOID), id_text, options) !=
                wall::Reason::None)
                refused++;
            MemoryContextSwitchTo(outer);
            MemoryContextReset(each);
        }
        SPI_freetuptable(SPI_tuptable);
    }
    SPI_cursor_close(portal);
    SPI_finish();
    LeaveSafePath(path);
    GiveBackWorkspace(space, SIZE_MAX);
    uint64 not_objects = wall::ProfileNotObjects(profile);
    if (refused + not_objects > 0)
        ereport(WARNING,
                (errcode(ERRCODE_WARNING),
                 errmsg(UINT64_FORMAT " of " UINT64_FORMAT " documents in %s are not in the profile",
                        refused + not_objects, refused + not_objects + wall::ProfileDocuments(profile), name),
                 errdetail(UINT64_FORMAT " are not JSON, " UINT64_FORMAT " are JSON but no objects.", refused,
                           not_objects)));
    return profile;
}

static Datum TextOrNull(const char* s, bool* null) {
    *null = s[0] == '\0';
    return *null ? (Datum)0 : CStringGetTextDatum(s);
}

extern "C" {

// vm_profile(source regclass) → (path, types, documents, nulls, distinct_values, smallest, largest,
// sample_id)
Datum vm_profile(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    InitMaterializedSRF(fcinfo, 0);
    ReturnSetInfo* result = (ReturnSetInfo*)fcinfo->resultinfo;
    vm::Profiler* profile = ProfileOf(PG_GETARG_OID(0));
    for (size_t i = 0; i < wall::ProfileRows(profile); i++) {
        wall::ProfileRow row = {};
        wall::ReadProfileRow(profile, i, &row);
        bool nulls[8] = {};
        Datum values[8] = {TextOrNull(row.path, &nulls[0]),     TextOrNull(row.types, &nulls[1]),
                           Int64GetDatum((int64)row.documents), Int64GetDatum((int64)row.nulls),
                           Int64GetDatum((int64)row.distinct),  TextOrNull(row.smallest, &nulls[5]),
                           TextOrNull(row.largest, &nulls[6]),  TextOrNull(row.sample_id, &nulls[7])};
        nulls[4] = !row.has_distinct;
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return (Datum)0;
}

// vm_propose(source regclass, parent text) → the script. The mapping gets the parent's name.
Datum vm_propose(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    Oid source = PG_GETARG_OID(0);
    List* names = textToQualifiedNameList(PG_GETARG_TEXT_PP(1));
    char* parent_schema;
    char* parent;
    DeconstructQualifiedName(names, &parent_schema, &parent);
    const char* qualified =
        parent_schema ? quote_qualified_identifier(parent_schema, parent) : quote_identifier(parent);
    char* schema = get_namespace_name(ExtensionSchema(fcinfo));
    vm::Profiler* profile = ProfileOf(source);
    char* source_name = QualifiedName(source);
    char* script = wall::ProposeScript(profile, {qualified, strlen(qualified)}, {parent, strlen(parent)},
                                       {schema, strlen(schema)}, {source_name, strlen(source_name)});
    if (script == NULL) ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    size_t size = strlen(script) + VARHDRSZ;
    text* result = (text*)palloc_extended(size, MCXT_ALLOC_NO_OOM);
    if (result != NULL) {
        SET_VARSIZE(result, size);
        memcpy(VARDATA(result), script, size - VARHDRSZ);
    }
    wall::FreeText(script);
    if (result == NULL) ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    PG_RETURN_TEXT_P(result);
}
}
