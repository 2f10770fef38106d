// vm_distinct: what SELECT DISTINCT would find, without reading every row.
#include "pg/server/compat.h"
#include "pg/check/distinct_scan.h"
#include "pg/server/tables.h"

extern "C" {
#include <access/tableam.h>
#include <access/xlog.h>
#include <catalog/pg_inherits.h>
#include <commands/extension.h>
#include <storage/bufmgr.h>
#include <tcop/dest.h>
#include <utils/rls.h>

PG_FUNCTION_INFO_V1(vm_distinct);
}

static Relation OpenRelation(Oid oid) {
    Relation rel = try_relation_open(oid, AccessShareLock);
    if (rel == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_TABLE), errmsg("relation with OID %u does not exist", oid)));
    switch (rel->rd_rel->relkind) {
        case RELKIND_RELATION:
        case RELKIND_PARTITIONED_TABLE:
        case RELKIND_MATVIEW:
        case RELKIND_FOREIGN_TABLE: return rel;
    }
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("%s is not a table", QualifiedName(oid)),
                    errdetail_relkind_not_supported(rel->rd_rel->relkind),
                    errhint("Distinct values are found by the indexes of a table: name the table itself.")));
}

// A column's type without domains: what compares, and what a value is read as.
static AttrNumber FindColumn(Relation rel, const char* name, Oid* type, Oid* collation) {
    AttrNumber att = get_attnum(RelationGetRelid(rel), name);
    if (att <= 0)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                        errmsg("table %s has no column %s", QualifiedName(RelationGetRelid(rel)),
                               quote_identifier(name))));
    Form_pg_attribute form = TupleDescAttr(RelationGetDescr(rel), att - 1);
    *type = getBaseType(form->atttypid);
    *collation = form->attcollation;
    return att;
}

static char* FilterText(JsonbValue* value) {
    switch (value->type) {
        case jbvString: return pnstrdup(value->val.string.val, value->val.string.len);
        case jbvNumeric:
            return DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
        case jbvBool: return pstrdup(value->val.boolean ? "true" : "false");
        default: return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
    }
}

// Without the column's typmod, which would cut or round: a comparison does neither.
static Datum ReadFilterValue(const DistinctFilter* filter, char* text) {
    Oid input, param;
    MemoryContext context = CurrentMemoryContext;
    Datum value = (Datum)0;
    getTypeInputInfo(filter->type, &input, &param);
    PG_TRY();
    { value = OidInputFunctionCall(input, text, param, -1); }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        ErrorData* error = CopyErrorData();
        FlushErrorState();
        char* where = psprintf("The filter's value for column %s, of type %s.",
                               quote_identifier(filter->name), format_type_be(filter->type));
        error->detail = error->detail ? psprintf("%s\n%s", where, error->detail) : where;
        ReThrowError(error);
    }
    PG_END_TRY();
    return value;
}

static void ReadFilter(Relation rel, Jsonb* json, DistinctQuery* query, Bitmapset** columns) {
    JsonbValue item;
    if (!JB_ROOT_IS_OBJECT(json))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("filter is not a JSON object"),
                 errhint("Columns and what they must be equal to: {\"tenant_id\": \"acme\", \"deleted_at\": "
                         "null}.")));
    query->filters = (DistinctFilter*)palloc0(sizeof(DistinctFilter) * (JB_ROOT_COUNT(json) + 1));
    JsonbIterator* it = JsonbIteratorInit(&json->root);
    (void)JsonbIteratorNext(&it, &item, true);
    while (JsonbIteratorNext(&it, &item, true) == WJB_KEY) {
        DistinctFilter* filter = &query->filters[query->nfilters++];
        filter->name = pnstrdup(item.val.string.val, item.val.string.len);
        AttrNumber att = FindColumn(rel, filter->name, &filter->type, &filter->collation);
        *columns = bms_add_member(*columns, att - FirstLowInvalidHeapAttributeNumber);
        (void)JsonbIteratorNext(&it, &item, true);
        filter->null = item.type == jbvNull;
        if (filter->null) continue;
        if (!OidIsValid(lookup_type_cache(filter->type, TYPECACHE_EQ_OPR)->eq_opr))
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_FUNCTION),
                            errmsg("could not identify an equality operator for type %s",
                                   format_type_be(filter->type)),
                            errdetail("The filter is on column %s.", quote_identifier(filter->name))));
        filter->value = ReadFilterValue(filter, FilterText(&item));
    }
}

static DistinctQuery ReadQuery(Relation rel, char* column, Jsonb* filter, Bitmapset** columns) {
    DistinctQuery query = {};
    query.column = column;
    AttrNumber att = FindColumn(rel, column, &query.type, &query.collation);
    *columns = bms_make_singleton(att - FirstLowInvalidHeapAttributeNumber);
    query.order = lookup_type_cache(query.type, TYPECACHE_LT_OPR | TYPECACHE_CMP_PROC_FINFO);
    if (!OidIsValid(query.order->lt_opr) || !OidIsValid(query.order->cmp_proc_finfo.fn_oid))
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_FUNCTION),
             errmsg("could not identify an ordering operator for type %s", format_type_be(query.type)),
             errdetail("Distinct values of column %s are found in their order.", quote_identifier(column))));
    if (filter != NULL) ReadFilter(rel, filter, &query, columns);
    return query;
}

// Some extensions keep a table's rows elsewhere; only the planner knows.
static bool RowsAreInTables(void) {
    return !OidIsValid(get_extension_oid("citus", true)) &&
           !OidIsValid(get_extension_oid("timescaledb", true));
}

// Tables whose pages may be read; all others are put to the server, which reads them or knows what to say.
static bool IsReadable(Relation rel) {
    return rel->rd_rel->relkind != RELKIND_FOREIGN_TABLE && rel->rd_tableam == GetHeapamTableAmRoutine() &&
           RelationIsScannable(rel) && !RELATION_IS_OTHER_TEMP(rel) &&
           (RelationIsPermanent(rel) || !RecoveryInProgress());
}

// Whether a SELECT from the child itself gives its caller what one from its parent does, which asks for no
// rights on children and knows nothing of their policies.
static bool MayReadAlone(Relation child, const DistinctQuery* query) {
    Oid oid = RelationGetRelid(child);
    Bitmapset* columns =
        bms_make_singleton(get_attnum(oid, query->column) - FirstLowInvalidHeapAttributeNumber);
    for (int i = 0; i < query->nfilters; i++)
        columns = bms_add_member(
            columns, get_attnum(oid, query->filters[i].name) - FirstLowInvalidHeapAttributeNumber);
    return MayUseSchema(RelationGetNamespace(child)) && MaySelect(child, columns, false) &&
           check_enable_rls(oid, InvalidOid, true) != RLS_ENABLED;
}

// Takes the rows of a statement of one column.
struct ValuesReceiver {
    DestReceiver pub;
    DistinctQuery* query;
};

static bool ReceiveValue(TupleTableSlot* slot, DestReceiver* self) {
    DistinctQuery* query = ((ValuesReceiver*)self)->query;
    bool null;
    Datum value = slot_getattr(slot, 1, &null);
    if (null)
        query->null = true;
    else
        tuplesort_putdatum(query->values, value, false);
    return true;
}

static void NothingToStart(DestReceiver*, int, TupleDesc) {}
static void NothingToDo(DestReceiver*) {}

// SELECT DISTINCT over some tables. Every name is qualified, so the search_path stays the caller's: it is
// what functions in policies are to see.
static void SelectDistinct(List* tables, bool alone, DistinctQuery* query) {
    const char* column = quote_identifier(query->column);
    StringInfoData where, sql;
    ParamListInfo params = makeParamList(query->nfilters);
    initStringInfo(&where);
    for (int i = 0; i < query->nfilters; i++) {
        const DistinctFilter* filter = &query->filters[i];
        appendStringInfo(&where, " %s %s", i ? "AND" : "WHERE", quote_identifier(filter->name));
        if (filter->null)
            appendStringInfoString(&where, " IS NULL");
        else
            appendStringInfo(&where, " %s $%d",
                             OperatorName(lookup_type_cache(filter->type, TYPECACHE_EQ_OPR)->eq_opr), i + 1);
        params->params[i] = ParamExternData{filter->value, filter->null, PARAM_FLAG_CONST, filter->type};
    }
    initStringInfo(&sql);
    ListCell* cell;
    foreach (cell, tables)
        appendStringInfo(&sql, "%s SELECT %s AS value FROM %s%s%s", sql.len ? " UNION ALL" : "", column,
                         alone ? "ONLY " : "", QualifiedName(lfirst_oid(cell)), where.data);
    ValuesReceiver receiver = {};
    receiver.pub = {ReceiveValue, NothingToStart, NothingToDo, NothingToDo, DestTuplestore};
    receiver.query = query;
    SPIExecuteOptions options = {};
    options.params = params;
    options.read_only = true;
    options.dest = &receiver.pub;
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code =
        SPI_execute_extended(psprintf("SELECT DISTINCT value FROM (%s) AS tables", sql.data), &options);
    if (code < 0) elog(ERROR, "executing SQL failed: %s", SPI_result_code_string(code));
    SPI_finish();
}

// Once a call, with the statement that mends it.
static void TellSlow(Relation root, List* slow, const DistinctQuery* query) {
    bool partitioned = root->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
    char* first = QualifiedName(linitial_oid(slow));
    StringInfoData columns;
    initStringInfo(&columns);
    for (int i = 0; i < query->nfilters; i++)
        if (strcmp(query->filters[i].name, query->column) != 0)
            appendStringInfo(&columns, "%s, ", quote_identifier(query->filters[i].name));
    appendStringInfoString(&columns, quote_identifier(query->column));
    int more = partitioned ? 0 : list_length(slow) - 1;
    ereport(
        NOTICE,
        (errmsg("no index leads from one value of %s to the next: all matching rows of %s%s are read",
                quote_identifier(query->column), first,
                list_length(slow) > 1 ? psprintf(" and %d more", list_length(slow) - 1) : ""),
         errhint("CREATE INDEX ON %s (%s);%s", partitioned ? QualifiedName(RelationGetRelid(root)) : first,
                 columns.data, more > 0 ? " -- and on the others" : "")));
}

// Adds the values of a table and all that inherit from it.
static void CollectValues(Relation root, DistinctQuery* query) {
    List *all = NIL, *fast = NIL, *indexes = NIL, *slow = NIL, *mendable = NIL;
    bool together = false;
    ListCell *cell, *index_cell;
    if (RowsAreInTables() && check_enable_rls(RelationGetRelid(root), InvalidOid, false) != RLS_ENABLED)
        all = find_all_inheritors(RelationGetRelid(root), AccessShareLock, NULL);
    else
        together = true;
    foreach (cell, all) {
        CHECK_FOR_INTERRUPTS();
        Relation table = table_open(lfirst_oid(cell), NoLock);
        bool is_root = RelationGetRelid(table) == RelationGetRelid(root);
        if (table->rd_rel->relkind == RELKIND_PARTITIONED_TABLE ||
            (!is_root && RELATION_IS_OTHER_TEMP(table))) {
            // has no rows, or none that anybody else may see
        } else if (!IsReadable(table)) {
            slow = lappend_oid(slow, RelationGetRelid(table));
            together |= !is_root && !MayReadAlone(table, query);
        } else {
            Oid index = LooseIndex(table, query);
            if (OidIsValid(index)) {
                fast = lappend_oid(fast, RelationGetRelid(table));
                indexes = lappend_oid(indexes, index);
            } else if (RelationGetNumberOfBlocks(table) > 0) {
                slow = lappend_oid(slow, RelationGetRelid(table));
                mendable = lappend_oid(mendable, RelationGetRelid(table));
                together |= !is_root && !MayReadAlone(table, query);
            }
        }
        table_close(table, NoLock);
    }
    if (mendable != NIL) TellSlow(root, mendable, query);
    if (together) {
        SelectDistinct(list_make1_oid(RelationGetRelid(root)), false, query);
        return;
    }
    forboth(cell, fast, index_cell, indexes) {
        Relation table = table_open(lfirst_oid(cell), NoLock);
        LooseScan(table, lfirst_oid(index_cell), query);
        table_close(table, NoLock);
    }
    if (slow != NIL) SelectDistinct(slow, true, query);
}

// What several tables have is there several times.
static void PutValues(DistinctQuery* query, ReturnSetInfo* result) {
    Oid output;
    bool varlena, none = false, first = true;
    Datum value, last = (Datum)0;
    getTypeOutputInfo(query->type, &output, &varlena);
    FmgrInfo print;
    fmgr_info(output, &print);
    MemoryContext each =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate distinct value", ALLOCSET_DEFAULT_SIZES);
    tuplesort_performsort(query->values);
    while (NextSorted(query->values, &value, &none)) {
        CHECK_FOR_INTERRUPTS();
        MemoryContext outer = MemoryContextSwitchTo(each);
        if (first || DatumGetInt32(FunctionCall2Coll(&query->order->cmp_proc_finfo, query->collation, last,
                                                     value)) != 0) {
            Datum text = CStringGetTextDatum(OutputFunctionCall(&print, value));
            tuplestore_putvalues(result->setResult, result->setDesc, &text, &none);
        }
        MemoryContextSwitchTo(outer);
        MemoryContextReset(each);
        if (!first && !query->order->typbyval) pfree(DatumGetPointer(last));
        last = value;
        first = false;
    }
    if (query->null) {
        none = true;
        value = (Datum)0;
        tuplestore_putvalues(result->setResult, result->setDesc, &value, &none);
    }
}

extern "C" {

// vm_distinct(relation regclass, column_name name, filter jsonb) → value
Datum vm_distinct(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    Relation root = OpenRelation(PG_GETARG_OID(0));
    Bitmapset* columns = NULL;
    DistinctQuery query =
        ReadQuery(root, NameStr(*PG_GETARG_NAME(1)), PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2), &columns);
    if (!MayUseSchema(RelationGetNamespace(root)))
        aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, get_namespace_name(RelationGetNamespace(root)));
    (void)MaySelect(root, columns, true);
    query.values = tuplesort_begin_datum(query.type, query.order->lt_opr, query.collation, false, work_mem,
                                         NULL, TUPLESORT_NONE);
    CollectValues(root, &query);
    PutValues(&query, (ReturnSetInfo*)fcinfo->resultinfo);
    tuplesort_end(query.values);
    relation_close(root, NoLock);
    return (Datum)0;
}
}
