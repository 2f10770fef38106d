// vm_add_project, vm_add_projects: projects to migrate, one or thousands. COPY into vm_project does the same.
#include "pg/server/compat.h"
#include "pg/server/tables.h"

extern "C" {
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_add_project);
PG_FUNCTION_INFO_V1(vm_add_projects);
}

// Writes those that are new and says how many they were. Arrays of text, of the same length.
static uint64 AddProjects(Oid schema, Datum tenants, Datum projects) {
    SqlArg args[] = {{TEXTARRAYOID, tenants, false},
                     {TEXTARRAYOID, projects, false},
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    uint64 added =
        RunAsOwner(schema,
                   psprintf("INSERT INTO %s (tenant, project, added_by) SELECT tenant, project, $3 "
                            "FROM unnest($1, $2) AS u (tenant, project) ON CONFLICT DO NOTHING",
                            ExtensionName(schema, "vm_project")),
                   args, lengthof(args), 0)
            .rows;
    return added;
}

static Datum ArrayOf(Datum* texts, int count) {
    return PointerGetDatum(construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT));
}

// The rows of the caller's query, in portions.
struct ProjectQuery {
    SPIPlanPtr plan;
    Portal portal;
    int64 rows;  // read so far
};

// The query runs as the caller and with the caller's search_path, and writes nothing: until it is left, or
// the transaction or subtransaction ends.
static bool EnterReadOnly(void) {
    bool before = XactReadOnly;
    XactReadOnly = true;
    return before;
}

static void CheckColumns(TupleDesc desc) {
    static const char* const names[] = {"tenant", "project"};
    bool fit = desc->natts == 2;
    for (int i = 0; fit && i < 2; i++) {
        Oid type = getBaseType(TupleDescAttr(desc, i)->atttypid);
        fit = type == TEXTOID || type == VARCHAROID;
        // Nobody means tenants to be projects.
        fit = fit && strcmp(NameStr(TupleDescAttr(desc, i)->attname), names[1 - i]) != 0;
    }
    if (fit) return;
    StringInfoData found;
    initStringInfo(&found);
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        appendStringInfo(&found, "%s%s %s", i > 0 ? ", " : "", quote_identifier(NameStr(att->attname)),
                         format_type_be(att->atttypid));
    }
    ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
                    errmsg("the query must give two columns of type text: tenant and project"),
                    errdetail("It gives (%s).", found.data)));
}

static void Open(ProjectQuery* query, const char* sql) {
    query->plan = SPI_prepare(sql, 0, NULL);
    if (query->plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    if (!SPI_is_cursor_plan(query->plan))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("the query must be one SELECT"),
                        errhint("It gives a row for each project: tenant and project.")));
    bool before = EnterReadOnly();
    query->portal = SPI_cursor_open(NULL, query->plan, NULL, NULL, false);
    XactReadOnly = before;
    CheckColumns(query->portal->tupDesc);
}

static Datum TextAt(int row, int column, int64 number) {
    static const char* const names[] = {"tenant", "project"};
    char* text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column + 1);
    if (text != NULL && text[0] != '\0') return CStringGetTextDatum(text);
    const char* other = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2 - column);
    ereport(ERROR,
            (errcode(text ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_NULL_VALUE_NOT_ALLOWED),
             errmsg("row %lld of the query has no %s", (long long)number, names[column]),
             errdetail("Its %s is %s. Nothing was added.", names[1 - column], other ? other : "NULL")));
}

// The next rows, as two arrays; false after the last.
static bool Fetch(ProjectQuery* query, Datum* tenants, Datum* projects) {
    constexpr long kPortion = 1000;
    bool before = EnterReadOnly();
    SPI_cursor_fetch(query->portal, true, kPortion);
    XactReadOnly = before;
    int count = (int)SPI_processed;
    if (count == 0) return false;
    Datum* texts = (Datum*)palloc(sizeof(Datum) * 2 * count);
    for (int i = 0; i < count; i++) {
        texts[i] = TextAt(i, 0, query->rows + i + 1);
        texts[count + i] = TextAt(i, 1, query->rows + i + 1);
    }
    *tenants = ArrayOf(texts, count);
    *projects = ArrayOf(texts + count, count);
    SPI_freetuptable(SPI_tuptable);
    query->rows += count;
    return true;
}

static void RequireWord(const char* word, const char* what) {
    if (word[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a %s needs a name", what)));
}

extern "C" {

// vm_add_project(tenant, project). One that is there already: a NOTICE.
Datum vm_add_project(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    PreventCommandIfReadOnly("vm_add_project()");
    char* tenant = text_to_cstring(PG_GETARG_TEXT_PP(0));
    char* project = text_to_cstring(PG_GETARG_TEXT_PP(1));
    RequireWord(tenant, "tenant");
    RequireWord(project, "project");
    Datum tenants[] = {PG_GETARG_DATUM(0)}, projects[] = {PG_GETARG_DATUM(1)};
    if (AddProjects(ExtensionSchema(fcinfo), ArrayOf(tenants, 1), ArrayOf(projects, 1)) == 0)
        ereport(NOTICE, (errcode(ERRCODE_DUPLICATE_OBJECT),
                         errmsg("project %s of tenant %s is there already", project, tenant)));
    PG_RETURN_VOID();
}

// vm_add_projects(query) → how many were new. Errors: it is no SELECT (22023), it writes (25006), its columns
// are not tenant and project (42804), a row has none (22004, empty: 22023); nothing is added then.
Datum vm_add_projects(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    PreventCommandIfReadOnly("vm_add_projects()");
    Oid schema = ExtensionSchema(fcinfo);
    ProjectQuery query = {};
    int64 added = 0;
    Datum tenants, projects;
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Open(&query, text_to_cstring(PG_GETARG_TEXT_PP(0)));
    MemoryContext portion =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate projects", ALLOCSET_DEFAULT_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(portion);
    while (Fetch(&query, &tenants, &projects)) {
        added += (int64)AddProjects(schema, tenants, projects);
        MemoryContextReset(portion);
    }
    MemoryContextSwitchTo(outer);
    SPI_cursor_close(query.portal);
    SPI_finish();
    PG_RETURN_INT64(added);
}
}
