// vm_check: every check of a child, its rows read once.
#include "pg/check/check.h"

#include "pg/server/caught.h"
#include "pg/check/check_condition.h"
#include "pg/move/move_target.h"
#include "pg/mapping/plan_cache.h"
#include "pg/server/sealed.h"
#include "pg/server/tables.h"

extern "C" {
#include <catalog/objectaddress.h>
#include <tcop/dest.h>

PG_FUNCTION_INFO_V1(vm_check);
}

void NoteProblem(Check* check, const ErrorData* error) {
    int code = error->sqlerrcode;
    bool name =
        check->condition != NULL && (code == ERRCODE_UNDEFINED_FUNCTION || code == ERRCODE_UNDEFINED_TABLE ||
                                     code == ERRCODE_UNDEFINED_OBJECT);
    check->problem = psprintf("It cannot be asked: %s%s", ReadableMessage(error),
                              name ? ". Names outside pg_catalog must be qualified." : ".");
    check->severity = Severity::Error;
}

// Rows on their way from the executor into the counts of checks.
struct Tally {
    DestReceiver receiver;
    Check** checks;  // of a pass: _id, boolean[] with a place for each; of a query: text[], bigint for the
                     // only one
    int count;
    MemoryContext context;
};

static void AddSample(Check* check, Datum id, MemoryContext context) {
    if (check->nids == Check::kSamples) return;
    MemoryContext caller = MemoryContextSwitchTo(context);
    check->id[check->nids++] = PointerGetDatum(PG_DETOAST_DATUM_COPY(id));
    MemoryContextSwitchTo(caller);
}

static bool ReceivePass(TupleTableSlot* slot, DestReceiver* self) {
    Tally* tally = (Tally*)self;
    slot_getallattrs(slot);
    ArrayType* flags = DatumGetArrayTypeP(slot->tts_values[1]);
    const bool* dirty = (const bool*)ARR_DATA_PTR(flags);
    for (int i = 0; i < tally->count; i++) {
        if (!dirty[i]) continue;
        tally->checks[i]->rows++;
        if (!slot->tts_isnull[0]) AddSample(tally->checks[i], slot->tts_values[0], tally->context);
    }
    if ((Pointer)flags != DatumGetPointer(slot->tts_values[1])) pfree(flags);  // a worker had packed it
    return true;
}

static bool ReceiveQuery(TupleTableSlot* slot, DestReceiver* self) {
    Tally* tally = (Tally*)self;
    Check* check = tally->checks[0];
    slot_getallattrs(slot);
    check->rows += DatumGetInt64(slot->tts_values[1]);
    if (check->nids == Check::kSamples || slot->tts_isnull[0]) return true;
    Datum* ids;
    bool* nulls;
    int count;
    deconstruct_array(DatumGetArrayTypeP(slot->tts_values[0]), TEXTOID, -1, false, TYPALIGN_INT, &ids, &nulls,
                      &count);
    for (int i = 0; i < count; i++)
        if (!nulls[i]) AddSample(check, ids[i], tally->context);
    pfree(ids);
    pfree(nulls);
    return true;
}

static void Startup(DestReceiver*, int, TupleDesc) {}
static void Nothing(DestReceiver*) {}

// One SELECT, its rows handed to a tally.
struct Reading {
    Oid role;  // it runs as
    const char* sql;
    bool (*receive)(TupleTableSlot*, DestReceiver*);
    Check** checks;
    int count;
    MemoryContext context;
};

static void Read(void* arg) {
    Reading* reading = (Reading*)arg;
    for (int i = 0; i < reading->count; i++) reading->checks[i]->rows = reading->checks[i]->nids = 0;
    Tally tally = {{reading->receive, Startup, Nothing, Nothing, DestNone},
                   reading->checks,
                   reading->count,
                   reading->context};
    SPIExecuteOptions options = {};
    options.read_only = true;  // all of vm_check sees the snapshot of the statement that calls it
    options.dest = &tally.receiver;
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    SPIPlanPtr plan = SPI_prepare_cursor(reading->sql, 0, NULL, CURSOR_OPT_PARALLEL_OK);
    if (plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    Role saved = EnterRole(reading->role);
    int code = SPI_execute_plan_extended(plan, &options);
    LeaveRole(saved);
    if (code < 0) elog(ERROR, "SPI_execute_plan_extended failed: %s", SPI_result_code_string(code));
    SPI_finish();
}

// Reads the child once for all conditions. If one fails, which only a row can make it do, each half is read
// by itself, down to the one at fault.
static void RunPass(Oid role, const char* source, bool has_id, Check** checks, int count) {
    if (count == 0) return;
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql, "SELECT vm_id, vm_dirty FROM (SELECT %s AS vm_id, ARRAY[",
                     has_id ? "child._id::text" : "NULL::text");
    for (int i = 0; i < count; i++) appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "", checks[i]->sql);
    // OFFSET keeps the conditions from being asked again for WHERE; as a bigint it lets workers do it, which
    // hand on only dirty rows.
    appendStringInfo(&sql, "] AS vm_dirty FROM %s OFFSET '0') vm_r WHERE true = ANY (vm_dirty)", source);
    Reading reading = {role, sql.data, ReceivePass, checks, count, CurrentMemoryContext};
    ErrorData* error = RunCaught(Read, &reading);
    if (error == NULL) return;
    if (count == 1) {
        NoteProblem(checks[0], error);
        return;
    }
    RunPass(role, source, has_id, checks, count / 2);
    RunPass(role, source, has_id, checks + count / 2, count - count / 2);
}

static void RunQuery(Oid schema, Check* check, const char* sql, Oid role) {
    Reading reading = {
        check->stored ? role : GetUserId(), sql, ReceiveQuery, &check, 1, CurrentMemoryContext};
    ErrorData* error;
    if (check->as_owner) {
        AsOwner owner = EnterAsOwner(schema);
        reading.role = GetUserId();
        error = RunCaught(Read, &reading);
        LeaveAsOwner(owner);
    } else {
        error = RunCaught(Read, &reading);
    }
    if (error != NULL) NoteProblem(check, error);
}

static void RunQueries(Oid schema, List* checks, Oid role) {
    ListCell* cell;
    foreach (cell, checks) {
        Check* check = (Check*)lfirst(cell);
        if (check->probe != NULL) RunQuery(schema, check, check->probe, role);
        bool wanted = check->probe == NULL || check->rows > 0;
        if (check->query != NULL && check->problem == NULL && wanted)
            RunQuery(schema, check, check->query, role);
    }
}

static char* Copied(int column, uint64 row, MemoryContext context) {
    char* text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
    return text ? MemoryContextStrdup(context, text) : NULL;
}

Severity SeverityOf(const char* word) {
    return word[0] == 'e' ? Severity::Error : word[0] == 'w' ? Severity::Warning : Severity::Info;
}

// The rules for a child: of one name the user's before the shipped, the parent's before the mapping's before
// anybody's.
static List* ReadRules(Oid schema, const char* mapping, Oid parent) {
    MemoryContext context = CurrentMemoryContext;
    Oid types[] = {TEXTOID, OIDOID};
    Datum values[] = {mapping ? CStringGetTextDatum(mapping) : (Datum)0, ObjectIdGetDatum(parent)};
    const char nulls[] = {mapping ? ' ' : 'n', ' '};
    List* checks = NIL;
    AsOwner owner = EnterAsOwner(schema);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute_with_args(
        psprintf(
            "SELECT check_name, severity, hint, condition, shipped OR (mapping IS NULL AND parent IS NULL) "
            "FROM "
            "(SELECT DISTINCT ON (check_name) * FROM %s WHERE (mapping IS NULL OR mapping = $1) AND (parent "
            "IS "
            "NULL OR parent = $2) ORDER BY check_name, shipped, parent IS NULL, mapping IS NULL) vm_r WHERE "
            "condition IS NOT NULL",
            ExtensionName(schema, "vm_check_rule")),
        2, types, values, nulls, true, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "reading vm_check_rule failed: %s", SPI_result_code_string(code));
    for (uint64 i = 0; i < SPI_processed; i++) {
        MemoryContext spi = MemoryContextSwitchTo(context);
        Check* check = (Check*)palloc0(sizeof(Check));
        checks = lappend(checks, check);
        MemoryContextSwitchTo(spi);
        check->name = Copied(1, i, context);
        check->severity = SeverityOf(Copied(2, i, context));
        check->hint = Copied(3, i, context);
        check->condition = Copied(4, i, context);
        check->optional = Copied(5, i, context)[0] == 't';
    }
    SPI_finish();
    LeaveAsOwner(owner);
    return checks;
}

// Open cases of vm_quarantine or vm_anomaly.
static Check* OpenCases(Oid schema, Oid child, const char* name, const char* table, const char* open,
                        const char* key, const char* hint) {
    Check* check = (Check*)palloc0(sizeof(Check));
    check->name = pstrdup(name);
    check->hint = pstrdup(hint);
    check->as_owner = true;
    check->query =
        psprintf("SELECT ARRAY[_id], 1::bigint FROM %s WHERE child = '%u'::regclass AND %s ORDER BY %s",
                 ExtensionName(schema, table), child, open, key);
    return check;
}

static List* AppendOpenCases(List* checks, Oid schema, Oid child) {
    checks = lappend(
        checks,
        OpenCases(schema, child, "open_quarantine", "vm_quarantine", "settled_at IS NULL", "quarantine_id",
                  "Mend the mapping or the source, then vm_retry_quarantine; or give it up with "
                  "vm_settle_quarantine."));
    return lappend(checks,
                   OpenCases(schema, child, "unresolved_anomalies", "vm_anomaly", "resolved_at IS NULL",
                             "anomaly_id", "Decide which version stands, then vm_resolve_anomaly."));
}

// Errors first, of those what is dirty; then by name.
static int CompareChecks(const ListCell* a, const ListCell* b) {
    const Check* l = (const Check*)lfirst(a);
    const Check* r = (const Check*)lfirst(b);
    if (l->severity != r->severity) return (int)l->severity - (int)r->severity;
    bool l_clean = l->rows == 0 && l->problem == NULL;
    bool r_clean = r->rows == 0 && r->problem == NULL;
    if (l_clean != r_clean) return l_clean - r_clean;
    return strcmp(l->name, r->name);
}

static void Put(ReturnSetInfo* result, Check* check) {
    static const char* const words[] = {"error", "warning", "info"};
    bool dirty = check->rows > 0 || check->problem != NULL;
    const char* hint = check->problem ? check->problem : check->hint;
    bool nulls[5] = {false, false, check->problem != NULL, check->rows == 0 || check->problem != NULL,
                     !dirty || hint == NULL};
    Datum values[5] = {CStringGetTextDatum(check->name), CStringGetTextDatum(words[(int)check->severity]),
                       Int64GetDatum(check->rows)};
    if (!nulls[3])
        values[3] =
            PointerGetDatum(construct_array(check->id, check->nids, TEXTOID, -1, false, TYPALIGN_INT));
    if (!nulls[4]) values[4] = CStringGetTextDatum(hint);
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

// Runs the conditions of the rules that fit the child; returns the checks without those that do not.
static List* RunRules(List* rules, Oid schema, Relation rel, char* mapping, Oid role) {
    char* watermark = NULL;
    if (mapping != NULL) {
        CompiledMapping* compiled = CompileMapping(schema, mapping, rel, NULL, -1, CurrentMemoryContext);
        if (compiled->info.watermarks > 0) watermark = WatermarkSql(compiled, "vm_c");
        MemoryContextDelete(compiled->context);
    }
    char* source = ConditionSource(rel, watermark, false);
    Check** asked = (Check**)palloc(sizeof(Check*) * (list_length(rules) + 1));
    int count = 0;
    List* fitting = NIL;
    ListCell* cell;
    foreach (cell, rules) {
        Check* check = (Check*)lfirst(cell);
        ErrorData* error = TryCondition(schema, check->condition, rel, source, &check->sql);
        if (error != NULL && check->optional && error->sqlerrcode == ERRCODE_UNDEFINED_COLUMN) continue;
        fitting = lappend(fitting, check);
        if (error != NULL)
            NoteProblem(check, error);
        else
            asked[count++] = check;
    }
    RunPass(role, source, get_attnum(RelationGetRelid(rel), "_id") != InvalidAttrNumber, asked, count);
    return fitting;
}

extern "C" {

// vm_check(child regclass) → (check_name, severity, rows, sample_ids, hint). With the caller's rights, but
// for stored conditions: see RoleOfConditions. Errors: no child of one parent (42809), no right to read it
// (42501).
Datum vm_check(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    InitMaterializedSRF(fcinfo, 0);
    Oid schema = ExtensionSchema(fcinfo);
    Oid child = PG_GETARG_OID(0);
    Relation rel = relation_open(child, AccessShareLock);
    AclResult right = pg_class_aclcheck(child, GetUserId(), ACL_SELECT);
    if (right != ACLCHECK_OK)
        aclcheck_error(right, get_relkind_objtype(rel->rd_rel->relkind), RelationGetRelationName(rel));
    Sealed sealed = Seal();
    Oid parent = ParentOf(schema, child);
    char* mapping = MappingOfChild(schema, rel, NULL, NULL);
    Oid role = RoleOfConditions(child, parent);

    List* checks = RunRules(ReadRules(schema, mapping, parent), schema, rel, mapping, role);
    List* queries = AppendKeyChecks(NIL, rel, parent);
    queries = AppendReferenceChecks(queries, schema, rel, parent, role);
    queries = AppendOpenCases(queries, schema, child);
    RunQueries(schema, queries, role);
    Unseal(sealed);
    relation_close(rel, AccessShareLock);

    checks = list_concat(checks, queries);
    list_sort(checks, CompareChecks);
    ListCell* cell;
    foreach (cell, checks) Put((ReturnSetInfo*)fcinfo->resultinfo, (Check*)lfirst(cell));
    return (Datum)0;
}
}
