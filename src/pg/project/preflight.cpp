#include "pg/project/preflight.h"

#include "pg/server/caught.h"
#include "pg/child/make_child.h"
#include "pg/move/move_target.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_preflight);
}

void Note(Preflight* flight, Severity severity, const char* topic, const char* problem,
          const char* statement) {
    Finding* finding = (Finding*)palloc(sizeof(Finding));
    *finding = {severity, pstrdup(topic), pstrdup(problem), statement ? pstrdup(statement) : NULL};
    flight->findings = lappend(flight->findings, finding);
}

void AskFindings(Preflight* flight, const char* sql) {
    MemoryContext caller = CurrentMemoryContext;
    Oid types[] = {OIDOID, TEXTOID, TEXTOID, OIDOID, TEXTARRAYOID, INT8OID};
    Datum values[] = {ObjectIdGetDatum(flight->parent),
                      CStringGetTextDatum(flight->name),
                      CStringGetTextDatum(quote_identifier(get_namespace_name(flight->schema))),
                      ObjectIdGetDatum(flight->key),
                      flight->own,
                      Int64GetDatum(flight->children)};
    SafePath path = EnterSafePath();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute_with_args(sql, lengthof(types), types, values, NULL, true, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
    for (uint64 i = 0; i < SPI_processed; i++) {
        char* texts[4];
        for (int c = 0; c < 4; c++)
            texts[c] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, c + 1);
        MemoryContext spi = MemoryContextSwitchTo(caller);
        Note(flight, SeverityOf(texts[0]), texts[1], texts[2], texts[3]);
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    LeaveSafePath(path);
}

static void Check(void* rel) {
    CheckParent((Relation)rel);
}

bool FindUnfit(Preflight* flight) {
    ErrorData* error = RunCaught(Check, flight->rel);
    if (error != NULL) {
        char* problem = psprintf("%s: %s", error->message, error->detail);
        if (error->hint != NULL) problem = psprintf("%s %s", problem, error->hint);
        Note(flight, Severity::Error, "table", problem, NULL);
        return true;
    }
    AskFindings(flight, R"(
        SELECT 'error', 'table', format('table %s is temporary, and so would be its children', $2), NULL
        FROM pg_class WHERE oid = $1 AND relpersistence = 't'
        UNION ALL
        SELECT 'error', 'table', format('table %s belongs to the system', $2), NULL
        FROM pg_class WHERE oid = $1 AND (oid < 16384 OR relnamespace = 'pg_catalog'::regnamespace))");
    return flight->findings != NIL;
}

static void Put(ReturnSetInfo* result, const Finding* finding) {
    static const char* const words[] = {"error", "warning", "info"};
    Datum values[] = {CStringGetTextDatum(words[(int)finding->severity]), CStringGetTextDatum(finding->topic),
                      CStringGetTextDatum(finding->problem),
                      finding->statement ? CStringGetTextDatum(finding->statement) : (Datum)0};
    bool nulls[] = {false, false, false, finding->statement == NULL};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

static Oid KeyOf(Oid parent) {
    SafePath path = EnterSafePath();
    Oid key = FindKeyIndex(parent);
    LeaveSafePath(path);
    return key;
}

extern "C" {

// vm_preflight(parent regclass) → (severity, topic, problem, statement), errors first. As the caller, who
// needs no rights on the table; nothing is written. What is no table at all is a finding, not an error.
Datum vm_preflight(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    InitMaterializedSRF(fcinfo, 0);
    Preflight flight = {};
    flight.schema = ExtensionSchema(fcinfo);
    flight.parent = PG_GETARG_OID(0);
    flight.rel = relation_open(flight.parent, AccessShareLock);
    flight.name = QualifiedName(flight.parent);
    flight.own = PointerGetDatum(construct_empty_array(TEXTOID));
    if (!FindUnfit(&flight)) {
        flight.key = KeyOf(flight.parent);
        FindRegistry(&flight);
        FindTable(&flight);
        FindChildren(&flight);
        FindRights(&flight);
        FindServer(&flight);
    }
    relation_close(flight.rel, NoLock);
    // Of one severity in the order they were looked for.
    const Severity severities[] = {Severity::Error, Severity::Warning, Severity::Info};
    for (Severity severity : severities) {
        ListCell* cell;
        foreach (cell, flight.findings) {
            const Finding* finding = (const Finding*)lfirst(cell);
            if (finding->severity == severity) Put((ReturnSetInfo*)fcinfo->resultinfo, finding);
        }
    }
    return (Datum)0;
}
}
