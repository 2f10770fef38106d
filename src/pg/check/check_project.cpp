// vm_check_project and vm_check_anomalies: what is asked of all children of a project, on record.
#include "pg/project/project_facts.h"
#include "pg/server/tables.h"

extern "C" {
#include <tcop/utility.h>
#include <utils/datum.h>

PG_FUNCTION_INFO_V1(vm_check_project);
PG_FUNCTION_INFO_V1(vm_check_anomalies);
}

// A row of vm_check that is not clean: check_name, severity, rows, sample_ids, hint.
struct Finding {
    static constexpr int kColumns = 5;

    const char* entity;
    Datum values[kColumns];
    bool nulls[kColumns];
};

static char* NameOf(const Finding* finding) {
    return TextDatumGetCString(finding->values[0]);
}

static bool HasSeverity(const Finding* finding, const char* severity) {
    return strcmp(TextDatumGetCString(finding->values[1]), severity) == 0;
}

// What vm_check finds in a child, and how many rows the child has: of one snapshot.
static List* FindingsOf(Oid schema, const ProjectEntity* entity, int64* rows) {
    MemoryContext caller = CurrentMemoryContext;
    char* child = QualifiedName(entity->child);
    List* findings = NIL;
    SafePath path = EnterSafePath();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute(
        psprintf("SELECT c.check_name, c.severity, c.rows, c.sample_ids, c.hint, n.n FROM (SELECT count(*) "
                 "AS n FROM ONLY %s) n LEFT JOIN %s(%s::regclass) WITH ORDINALITY c(check_name, severity, "
                 "rows, sample_ids, hint, place) ON c.rows > 0 OR c.rows IS NULL ORDER BY c.place",
                 child, ExtensionName(schema, "vm_check"), quote_literal_cstr(child)),
        false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
    TupleDesc desc = SPI_tuptable->tupdesc;
    for (uint64 i = 0; i < SPI_processed; i++) {
        HeapTuple tuple = SPI_tuptable->vals[i];
        bool null;
        *rows = DatumGetInt64(SPI_getbinval(tuple, desc, Finding::kColumns + 1, &null));
        (void)SPI_getbinval(tuple, desc, 1, &null);
        if (null) continue;  // nothing was found
        MemoryContext spi = MemoryContextSwitchTo(caller);
        Finding* finding = (Finding*)palloc0(sizeof(Finding));
        finding->entity = entity->parent.entity;
        for (int k = 0; k < Finding::kColumns; k++) {
            Form_pg_attribute att = TupleDescAttr(desc, k);
            Datum value = SPI_getbinval(tuple, desc, k + 1, &finding->nulls[k]);
            if (!finding->nulls[k]) finding->values[k] = datumCopy(value, att->attbyval, att->attlen);
        }
        findings = lappend(findings, finding);
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    LeaveSafePath(path);
    return findings;
}

// "2 errors: id_missing (13), lost (not asked)", and how many there are.
static int AppendFound(StringInfo found, List* findings, const char* severity) {
    constexpr int kNamed = 5;
    int count = 0;
    ListCell* cell;
    foreach (cell, findings) count += HasSeverity((Finding*)lfirst(cell), severity);
    if (count == 0) return 0;
    appendStringInfo(found, "%s%d %s%s: ", found->len > 0 ? "; " : "", count, severity, count > 1 ? "s" : "");
    int named = 0;
    foreach (cell, findings) {
        const Finding* finding = (const Finding*)lfirst(cell);
        if (!HasSeverity(finding, severity)) continue;
        if (named == kNamed) {
            appendStringInfoString(found, ", ...");
            break;
        }
        appendStringInfo(
            found, "%s%s (%s)", named++ > 0 ? ", " : "", NameOf(finding),
            finding->nulls[2] ? "not asked" : psprintf(INT64_FORMAT, DatumGetInt64(finding->values[2])));
    }
    return count;
}

static char* Rows(int64 rows) {
    return psprintf(INT64_FORMAT " %s", rows, rows == 1 ? "row" : "rows");
}

// What a check of one child came to.
struct Verdict {
    const ProjectEntity* entity;
    bool seen;  // its feed was not on record
    bool passed;
    char* found;
    List* findings;
};

static Verdict* CheckEntity(Oid schema, const ProjectEntity* entity) {
    Verdict* verdict = (Verdict*)palloc(sizeof(Verdict));
    int64 rows = 0;
    List* findings = FindingsOf(schema, entity, &rows);
    StringInfoData found;
    initStringInfo(&found);
    bool passed = AppendFound(&found, findings, "error") == 0;
    (void)AppendFound(&found, findings, "warning");
    char* text =
        found.len > 0 ? psprintf("%s; %s in all", found.data, Rows(rows)) : psprintf("clean, %s", Rows(rows));
    *verdict = Verdict{entity, !entity->done[(int)Step::FeedStart], passed, text, findings};
    return verdict;
}

static void RecordVerdict(const ProjectKey* key, const Verdict* verdict) {
    const char* entity = verdict->entity->parent.entity;
    if (verdict->seen)
        RecordStep(key->schema, key->tenant, key->project, entity, Step::FeedStart, true, "seen by its rows",
                   NULL);
    RecordStep(key->schema, key->tenant, key->project, entity, Step::Check, verdict->passed, verdict->found,
               NULL);
}

// A feed that was started outside shows by what it writes. Who may not read the child is told so by vm_check.
static void RequireFeeds(const ProjectKey* key, List* entities, const char* asked) {
    List* unseen = NIL;
    ListCell* cell;
    foreach (cell, entities) {
        ProjectEntity* entity = (ProjectEntity*)lfirst(cell);
        if (!entity->done[(int)Step::FeedStart] && FeedIsSeen(key, entity) == Known::No)
            unseen = lappend(unseen, entity);
    }
    if (unseen == NIL) return;
    bool all = list_length(unseen) == list_length(entities);
    RequireStep(key, Step::Check, unseen, all ? asked : ((ProjectEntity*)linitial(unseen))->parent.entity,
                Step::FeedStart);
}

// Errors first, then in the order of the entities.
static void PutFindings(ReturnSetInfo* result, List* findings) {
    static const char* const severities[] = {"error", "warning", "info"};
    for (const char* severity : severities) {
        ListCell* cell;
        foreach (cell, findings) {
            const Finding* finding = (const Finding*)lfirst(cell);
            if (!HasSeverity(finding, severity)) continue;
            Datum values[1 + Finding::kColumns] = {CStringGetTextDatum(finding->entity)};
            bool nulls[1 + Finding::kColumns] = {false};
            memcpy(values + 1, finding->values, sizeof(finding->values));
            memcpy(nulls + 1, finding->nulls, sizeof(finding->nulls));
            tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        }
    }
}

// Counts the open cases of an entity; after its switch that is a step.
static void CheckAnomalies(const ProjectKey* key, const ProjectEntity* entity, ReturnSetInfo* result) {
    EntityFacts facts = FactsOf(key, entity);
    Datum values[] = {CStringGetTextDatum(entity->parent.entity), ObjectIdGetDatum(entity->child),
                      Int64GetDatum(facts.anomalies), Int64GetDatum(facts.quarantined)};
    bool nulls[lengthof(values)] = {};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    if (!entity->done[(int)Step::Switch]) return;
    char* open = OpenCasesOf(&facts);
    RecordStep(key->schema, key->tenant, key->project, entity->parent.entity, Step::AnomalyCheck,
               open == NULL, open ? psprintf("open: %s", open) : "none open", NULL);
}

extern "C" {

// vm_check_project(tenant, project, entity) → (entity, check_name, severity, rows, sample_ids, hint): what
// vm_check finds in each child; nothing, if there is nothing. rows NULL: the check
// could not be asked. Other sessions that take the project a step further wait until the transaction ends.
// Errors: no such project or entity (22023), no child yet, no feed yet, finished (55000).
Datum vm_check_project(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    PreventCommandIfReadOnly("vm_check_project()");
    InitMaterializedSRF(fcinfo, 0);
    ProjectKey key = {ExtensionSchema(fcinfo), text_to_cstring(PG_GETARG_TEXT_PP(0)),
                      text_to_cstring(PG_GETARG_TEXT_PP(1))};
    const char* asked = TextArgument(fcinfo, 2);
    List* entities = ProjectEntities(key.schema, key.tenant, key.project, asked, true);
    RequireUnfinished(&key, Step::Check, entities);
    RequireChildren(&key, Step::Check, entities, asked);
    RequireFeeds(&key, entities, asked);
    List* verdicts = NIL;
    ListCell* cell;
    foreach (cell, entities)
        verdicts = lappend(verdicts, CheckEntity(key.schema, (const ProjectEntity*)lfirst(cell)));
    // Not before all are checked: a move at work would have to wait to record its own step.
    List* findings = NIL;
    foreach (cell, verdicts) {
        const Verdict* verdict = (const Verdict*)lfirst(cell);
        RecordVerdict(&key, verdict);
        findings = list_concat(findings, verdict->findings);
    }
    PutFindings((ReturnSetInfo*)fcinfo->resultinfo, findings);
    return (Datum)0;
}

// vm_check_anomalies(tenant, project) → (entity, child, anomalies, quarantined): open cases of
// each child. Errors: no such project (22023), nothing is switched (55000).
Datum vm_check_anomalies(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    PreventCommandIfReadOnly("vm_check_anomalies()");
    InitMaterializedSRF(fcinfo, 0);
    ProjectKey key = {ExtensionSchema(fcinfo), text_to_cstring(PG_GETARG_TEXT_PP(0)),
                      text_to_cstring(PG_GETARG_TEXT_PP(1))};
    List* entities = ProjectEntities(key.schema, key.tenant, key.project, NULL, true);
    bool switched = false;
    ListCell* cell;
    foreach (cell, entities) switched |= ((ProjectEntity*)lfirst(cell))->done[(int)Step::Switch];
    if (!switched) RequireStep(&key, Step::AnomalyCheck, entities, NULL, Step::Switch);
    foreach (cell, entities) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        if (HasChild(entity) && !entity->done[(int)Step::Finish])
            CheckAnomalies(&key, entity, (ReturnSetInfo*)fcinfo->resultinfo);
    }
    return (Datum)0;
}
}
