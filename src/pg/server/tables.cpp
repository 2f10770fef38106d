#include "pg/server/tables.h"

extern "C" {
#include <access/stratnum.h>
#include <catalog/pg_class.h>
#include <catalog/pg_operator.h>
#include <nodes/parsenodes.h>
#include <utils/datum.h>
}

Oid ExtensionSchema(FunctionCallInfo fcinfo) {
    return get_func_namespace(fcinfo->flinfo->fn_oid);
}

void RequireArgument(FunctionCallInfo fcinfo, int i) {
    if (!fcinfo->args[i].isnull) return;
    Oid function = fcinfo->flinfo->fn_oid;
    HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
    Oid* types;
    char** names;
    char* modes;
    get_func_arg_info(tuple, &types, &names, &modes);
    ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                    errmsg("argument \"%s\" of %s must not be NULL", names[i], get_func_name(function))));
}

void RequireArguments(FunctionCallInfo fcinfo, int n) {
    for (int i = 0; i < n; i++) RequireArgument(fcinfo, i);
}

Oid ExtensionTable(Oid schema, const char* name) {
    Oid table = get_relname_relid(name, schema);
    if (!OidIsValid(table))
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE),
                 errmsg("table %s of extension voucher_migrate is missing", ExtensionName(schema, name)),
                 errhint("Create the extension anew, or restore the table.")));
    return table;
}

char* QualifiedName(Oid relation) {
    char* name = get_rel_name(relation);
    if (name == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("table %u does not exist any more", relation),
                 errdetail("Another session has dropped it meanwhile."), errhint("Try again.")));
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
}

char* ExtensionName(Oid schema, const char* name) {
    return quote_qualified_identifier(get_namespace_name(schema), name);
}

char* PrettySize(uint64 bytes) {
    return TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum((int64)bytes)));
}

char* PrettyDuration(double seconds) {
    if (seconds < 100) return psprintf("%.0f s", seconds);
    if (seconds < 6000) return psprintf("%.0f min", seconds / 60);
    return psprintf("%d h %02d min", (int)(seconds / 3600), (int)(seconds / 60) % 60);
}

SafePath EnterSafePath(void) {
    SafePath path = {NewGUCNestLevel()};
    (void)set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                            true, 0, false);
    return path;
}

void LeaveSafePath(SafePath path) {
    AtEOXact_GUC(false, path.nest);  // nor does what the statements have set outlive it
}

AsOwner EnterAsOwner(Oid schema) {
    return EnterAsTableOwner(ExtensionTable(schema, "vm_mapping"));
}

Oid OwnerOf(Oid table) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for relation %u", table);
    Oid owner = ((Form_pg_class)GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

AsOwner EnterAsTableOwner(Oid table) {
    AsOwner saved;
    Oid owner = OwnerOf(table);
    GetUserIdAndSecContext(&saved.user, &saved.context);
    SetUserIdAndSecContext(owner, saved.context | SECURITY_LOCAL_USERID_CHANGE);
    saved.path = EnterSafePath();
    return saved;
}

void LeaveAsOwner(AsOwner saved) {
    LeaveSafePath(saved.path);
    SetUserIdAndSecContext(saved.user, saved.context);
}

char* OperatorName(Oid op) {
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(op));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for operator %u", op);
    Form_pg_operator form = (Form_pg_operator)GETSTRUCT(tuple);
    char* name = psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(form->oprnamespace)),
                          NameStr(form->oprname));
    ReleaseSysCache(tuple);
    return name;
}

char* IndexEquality(Relation index, int k) {
    return OperatorName(get_opfamily_member(index->rd_opfamily[k], index->rd_opcintype[k],
                                            index->rd_opcintype[k], BTEqualStrategyNumber));
}

static constexpr int kMaxArgs = INDEX_MAX_KEYS + 2;

// Arguments as SPI wants them.
struct SpiArgs {
    Oid types[kMaxArgs];
    Datum values[kMaxArgs];
    char nulls[kMaxArgs];
};

static SpiArgs ForSpi(const SqlArg* args, int nargs) {
    SpiArgs spi;
    Assert(nargs <= kMaxArgs);
    for (int i = 0; i < nargs; i++) {
        spi.types[i] = args[i].type;
        spi.values[i] = args[i].value;
        spi.nulls[i] = args[i].null ? 'n' : ' ';
    }
    return spi;
}

// What the statement that was just executed gave, copied into `caller`.
static SqlResult FirstRow(int code, int want, MemoryContext caller) {
    SqlResult result = {};
    if (code < 0) elog(ERROR, "executing SQL failed: %s", SPI_result_code_string(code));
    Assert(want <= (int)lengthof(result.value));
    result.rows = SPI_processed;
    if (want == 0 || SPI_tuptable == NULL || SPI_tuptable->numvals == 0) return result;
    result.found = true;
    TupleDesc desc = SPI_tuptable->tupdesc;
    for (int i = 0; i < want; i++) {
        Datum value = SPI_getbinval(SPI_tuptable->vals[0], desc, i + 1, &result.null[i]);
        if (result.null[i]) continue;
        Form_pg_attribute att = TupleDescAttr(desc, i);
        MemoryContext spi = MemoryContextSwitchTo(caller);
        result.value[i] = datumCopy(value, att->attbyval, att->attlen);
        MemoryContextSwitchTo(spi);
    }
    return result;
}

SqlResult RunSql(const char* sql, const SqlArg* args, int nargs, int want) {
    MemoryContext caller = CurrentMemoryContext;
    SpiArgs spi = ForSpi(args, nargs);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute_with_args(sql, nargs, spi.types, spi.values, spi.nulls, false, want > 0 ? 1 : 0);
    SqlResult result = FirstRow(code, want, caller);
    SPI_finish();
    return result;
}

SqlResult RunAsOwner(Oid schema, const char* sql, const SqlArg* args, int nargs, int want) {
    AsOwner owner = EnterAsOwner(schema);
    SqlResult result = RunSql(sql, args, nargs, want);
    LeaveAsOwner(owner);
    return result;
}

// Plans of statements that run again and again; the oldest goes when there are too many.
struct SavedPlan {
    char* sql;
    SPIPlanPtr plan;
};
static SavedPlan saved_plans[8];
static int next_saved_plan = 0;

// The plan of a statement. SPI is connected.
static SPIPlanPtr PlanOf(const char* sql, SpiArgs* spi, int nargs) {
    for (const SavedPlan& saved : saved_plans)
        if (saved.sql != NULL && strcmp(saved.sql, sql) == 0) return saved.plan;
    SPIPlanPtr plan = SPI_prepare(sql, nargs, spi->types);
    if (plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    char* copy = MemoryContextStrdup(TopMemoryContext, sql);
    SPI_keepplan(plan);
    SavedPlan* slot = &saved_plans[next_saved_plan];
    next_saved_plan = (next_saved_plan + 1) % lengthof(saved_plans);
    if (slot->sql != NULL) {
        pfree(slot->sql);
        SPI_freeplan(slot->plan);
    }
    *slot = SavedPlan{copy, plan};
    return plan;
}

SqlResult RunSavedSql(const char* sql, const SqlArg* args, int nargs, int want) {
    MemoryContext caller = CurrentMemoryContext;
    SpiArgs spi = ForSpi(args, nargs);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    SPIPlanPtr plan = PlanOf(sql, &spi, nargs);
    SqlResult result =
        FirstRow(SPI_execute_plan(plan, spi.values, spi.nulls, false, want > 0 ? 1 : 0), want, caller);
    SPI_finish();
    return result;
}

bool CalledAtomically(FunctionCallInfo fcinfo) {
    return fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
           castNode(CallContext, fcinfo->context)->atomic;
}
