#include "pg/move/move_insert.h"

#include "pg/server/tables.h"

extern "C" {
#include <utils/queryenvironment.h>
#include <utils/tuplestore.h>
}

void RegisterRows(const char* name, TupleDesc desc, Tuplestorestate* rows, double count) {
    EphemeralNamedRelation relation = (EphemeralNamedRelation)palloc0(sizeof(EphemeralNamedRelationData));
    relation->md.name = pstrdup(name);
    relation->md.tupdesc = desc;
    relation->md.enrtype = ENR_NAMED_TUPLESTORE;
    relation->md.enrtuples = count;
    relation->reldata = rows;
    int code = SPI_register_relation(relation);
    if (code != SPI_OK_REL_REGISTER)
        elog(ERROR, "SPI_register_relation failed: %s", SPI_result_code_string(code));
}

static Tuplestorestate* BatchRows(const MoveTarget* target, const ClaimedRows* claimed, const int* which,
                                  int count) {
    Tuplestorestate* store = tuplestore_begin_heap(false, false, work_mem);
    int natts = target->row->natts;
    Datum* values = (Datum*)palloc(sizeof(Datum) * natts);
    bool* nulls = (bool*)palloc(sizeof(bool) * natts);
    for (int i = 0; i < count; i++) {
        HeapTuple row = claimed->rows[which[i]];
        if (!target->native_insert) {
            tuplestore_puttuple(store, row);
            continue;
        }
        heap_deform_tuple(row, RelationGetDescr(target->parent), values, nulls);
        values[natts - 1] = Int32GetDatum(which[i]);
        nulls[natts - 1] = false;
        tuplestore_putvalues(store, target->row, values, nulls);
    }
    return store;
}

static void Execute(const char* sql, int nargs, Oid* types, Datum* values) {
    int code = SPI_execute_with_args(sql, nargs, types, values, NULL, false, 0);
    if (code < 0) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
}

static int64 Count(int column) {
    bool null;
    return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null));
}

// Of several rows with one key the newest; what is older is kept back like any other. Where a unique index of
// the child rules them out, nothing needs to be sorted.
static char* Source(const MoveTarget* target) {
    if (target->unique) return pstrdup("vm_batch vm_c");
    return psprintf("(SELECT DISTINCT ON (%s) %s, %s FROM vm_batch vm_c ORDER BY %s, %s) vm_c", target->key,
                    target->columns, target->number, target->key, target->order);
}

// Rows of the batch that are not in the parent by our doing, and whether another row has their key.
static void FindKept(const MoveTarget* target, WrittenRows* written, int count) {
    char* older =
        target->unique
            ? pstrdup("")
            : psprintf("SELECT %s, true FROM vm_batch WHERE %s NOT IN (SELECT %s FROM %s) UNION ALL ",
                       target->number, target->number, target->number, Source(target));
    Oid types[] = {XIDOID};
    Datum values[] = {TransactionIdGetDatum(GetCurrentTransactionId())};
    SafePath path = EnterSafePath();
    Execute(
        psprintf("%sSELECT vm_c.%s, vm_p.xmin IS NOT NULL FROM %s LEFT JOIN %s vm_p ON %s WHERE vm_p.xmin IS "
                 "DISTINCT FROM $1",
                 older, target->number, Source(target), target->parent_only, target->match),
        1, types, values);
    LeaveSafePath(path);
    int missing = 0;
    for (uint64 i = 0; i < SPI_tuptable->numvals; i++) {
        bool null;
        HeapTuple row = SPI_tuptable->vals[i];
        if (DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &null)))
            written->kept[written->nkept++] =
                DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null));
        else
            missing++;
    }
    // A trigger of the parent may take a row for itself, or write it under another key.
    if (missing > 0 || written->inserted + written->updated + written->nkept != count)
        ereport(ERROR,
                (errcode(ERRCODE_NO_DATA), errmsg("parent %s did not take the row", target->parent_name),
                 errdetail("A trigger or rule of the parent wrote nothing, and no other row has the key.")));
}

// What RETURNING cannot say of partitions: which of the rows we wrote were there before.
static void CountUpdated(const MoveTarget* target, WrittenRows* written, int64 all) {
    Oid types[] = {XIDOID};
    Datum values[] = {TransactionIdGetDatum(GetCurrentTransactionId())};
    SafePath path = EnterSafePath();
    Execute(
        psprintf("SELECT count(*) FROM %s JOIN %s vm_p ON %s WHERE vm_p.xmin = $1 AND vm_p.xmax::text <> '0'",
                 Source(target), target->parent_only, target->match),
        1, types, values);
    LeaveSafePath(path);
    written->updated = Count(1);
    written->inserted = all - written->updated;
}

static void RefuseConflict(const MoveTarget* target, const WrittenRows* written, bool* fatal) {
    *fatal = true;
    ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
                    errmsg_plural("%d row of child %s has a key that parent %s has already",
                                  "%d rows of child %s have keys that parent %s has already", written->nkept,
                                  written->nkept, target->child_name, target->parent_name),
                    errdetail("on_conflict is error."),
                    errhint("on_conflict => 'newer' moves those that are newer and records the others in "
                            "vm_anomaly.")));
}

// The statements that write run with the caller's search_path: triggers of the parent may rely on it.

// Rows written, all of them new.
static int64 InsertPlainly(const MoveTarget* target) {
    Execute(psprintf("INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s", target->parent_name,
                     target->columns, target->columns, Source(target)),
            0, NULL, NULL);
    return (int64)SPI_processed;
}

// The same where keys may stand in the parent: all that were written, and those of them that are new.
static int64 Upsert(const MoveTarget* target, int64* inserted) {
    Execute(
        psprintf(
            "WITH vm_w AS (INSERT INTO %s AS vm_p (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM %s %s "
            "RETURNING "
            "%s AS vm_new) SELECT pg_catalog.count(*) FILTER (WHERE vm_new), pg_catalog.count(*) FROM vm_w",
            target->parent_name, target->columns, target->columns, Source(target), target->conflict_clause,
            target->partitioned ? "true" : "vm_p.xmax::pg_catalog.text OPERATOR(pg_catalog.=) '0'"),
        0, NULL, NULL);
    *inserted = Count(1);
    return Count(2);
}

WrittenRows InsertBySql(const MoveTarget* target, const ClaimedRows* claimed, const int* which, int count,
                        bool plain, bool* fatal) {
    WrittenRows written = {0, 0, (int*)palloc(sizeof(int) * count), 0};
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Tuplestorestate* rows = BatchRows(target, claimed, which, count);
    RegisterRows("vm_batch", target->row, rows, count);
    int64 all = plain ? InsertPlainly(target) : Upsert(target, &written.inserted);
    if (plain) written.inserted = all;
    written.updated = all - written.inserted;
    if (!plain && target->partitioned && target->options.on_conflict != OnConflict::Keep)
        CountUpdated(target, &written, all);
    if (all != count) FindKept(target, &written, count);
    if (written.nkept > 0 && target->options.on_conflict == OnConflict::Error)
        RefuseConflict(target, &written, fatal);
    tuplestore_end(rows);
    SPI_finish();
    return written;
}
