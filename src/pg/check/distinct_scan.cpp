#include "pg/check/distinct_scan.h"

extern "C" {
#include <access/genam.h>
#include <access/stratnum.h>
#include <access/tableam.h>
#include <access/visibilitymap.h>
#include <catalog/pg_am.h>
#include <catalog/pg_index.h>
#include <storage/bufmgr.h>
#include <storage/predicate.h>
#include <utils/datum.h>
#include <utils/snapmgr.h>
}

// So many entries of one value are stepped over before the tree is searched for the next, which costs a few
// dozen steps: values that are almost all different need no search each.
static constexpr int kSteps = 16;

// Which of the filters is on the k-th column of an index; -1: none.
static int FilterOf(Relation table, Relation index, int k, const DistinctQuery* query) {
    for (int i = 0; i < query->nfilters; i++)
        if (get_attnum(RelationGetRelid(table), query->filters[i].name) == index->rd_index->indkey.values[k])
            return i;
    return -1;
}

static bool IsColumn(Relation table, Relation index, int k, const DistinctQuery* query) {
    return get_attnum(RelationGetRelid(table), query->column) == index->rd_index->indkey.values[k];
}

// Whether an index's column sorts and compares as the type does by itself.
static bool SortsAs(Relation index, int k, Oid type, Oid collation) {
    TypeCacheEntry* order = lookup_type_cache(type, TYPECACHE_BTREE_OPFAMILY);
    return index->rd_opfamily[k] == order->btree_opf && index->rd_opcintype[k] == order->btree_opintype &&
           index->rd_indcollation[k] == collation;
}

// As the planner asks: complete, and no row's chain of versions from before it is in the snapshot's reach.
static bool MayBeUsed(Relation index) {
    const FormData_pg_index* form = index->rd_index;
    return index->rd_rel->relam == BTREE_AM_OID && form->indisvalid &&
           RelationGetIndexPredicate(index) == NIL &&
           !(form->indcheckxmin &&
             !TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin));
}

// How many of an index's columns a scan has keys on: the filters in any order, then the column; 0 if they are
// others. The column may be one of the filters too.
static int KeyColumns(Relation table, Relation index, const DistinctQuery* query) {
    bool filtered = false;
    for (int i = 0; i < query->nfilters; i++) filtered |= strcmp(query->filters[i].name, query->column) == 0;
    int n = query->nfilters + (filtered ? 0 : 1);
    if (n > index->rd_index->indnkeyatts) return 0;
    uint64 seen = 0;
    static_assert(INDEX_MAX_KEYS <= 64, "a bit for each filter");
    for (int k = 0; k < n; k++) {
        int i = FilterOf(table, index, k, query);
        if (i >= 0) {
            if (seen & (UINT64CONST(1) << i)) return 0;
            seen |= UINT64CONST(1) << i;
            if (!SortsAs(index, k, query->filters[i].type, query->filters[i].collation)) return 0;
        } else if (k < n - 1 || !IsColumn(table, index, k, query)) {
            return 0;
        }
        if (IsColumn(table, index, k, query) && !SortsAs(index, k, query->type, query->collation)) return 0;
    }
    return n;
}

Oid LooseIndex(Relation table, const DistinctQuery* query) {
    Oid found = InvalidOid;
    ListCell* cell;
    foreach (cell, RelationGetIndexList(table)) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        if (MayBeUsed(index) && KeyColumns(table, index, query) > 0) found = lfirst_oid(cell);
        index_close(index, AccessShareLock);
        if (OidIsValid(found)) break;
    }
    return found;
}

// A scan in ascending order of the column.
struct Walk {
    IndexScanDesc scan;
    TupleTableSlot* slot;
    Buffer map;  // page of the visibility map
    ScanDirection direction;
    ScanKeyData keys[INDEX_MAX_KEYS + 1];
    int nkeys;
    int bound;   // the key that says from where on
    int column;  // of the index, from 0
};

static void SetKey(ScanKey key, Relation index, int k, StrategyNumber strategy, Datum value) {
    Oid type = index->rd_opcintype[k];
    Oid op = get_opfamily_member(index->rd_opfamily[k], type, type, (int16)strategy);
    if (!OidIsValid(op)) elog(ERROR, "no operator for a column of index %u", RelationGetRelid(index));
    ScanKeyEntryInitialize(key, 0, (AttrNumber)(k + 1), strategy, type, index->rd_indcollation[k],
                           get_opcode(op), value);
}

static void SetNullKey(ScanKey key, int k, int flag) {
    ScanKeyEntryInitialize(key, SK_ISNULL | flag, (AttrNumber)(k + 1), InvalidStrategy, InvalidOid,
                           InvalidOid, InvalidOid, (Datum)0);
}

// Keys stand in the order of the index's columns.
static void SetKeys(Walk* walk, Relation table, Relation index, const DistinctQuery* query) {
    int columns = KeyColumns(table, index, query);
    for (int k = 0; k < columns; k++) {
        int i = FilterOf(table, index, k, query);
        if (i >= 0 && query->filters[i].null)
            SetNullKey(&walk->keys[walk->nkeys++], k, SK_SEARCHNULL);
        else if (i >= 0)
            SetKey(&walk->keys[walk->nkeys++], index, k, BTEqualStrategyNumber, query->filters[i].value);
        if (!IsColumn(table, index, k, query)) continue;
        walk->column = k;
        walk->bound = walk->nkeys++;
    }
    walk->direction =
        index->rd_indoption[walk->column] & INDOPTION_DESC ? BackwardScanDirection : ForwardScanDirection;
}

// Whether the row of the index entry at hand is visible; the table is read only if its page may say no.
static bool Visible(Walk* walk, ItemPointer tid) {
    IndexScanDesc scan = walk->scan;
    BlockNumber block = ItemPointerGetBlockNumber(tid);
    if (VM_ALL_VISIBLE(scan->heapRelation, block, &walk->map)) {
        PredicateLockPage(scan->heapRelation, block, scan->xs_snapshot);
        return true;
    }
    if (!index_fetch_heap(scan, walk->slot)) return false;
    ExecClearTuple(walk->slot);
    return true;
}

// The column's value in the entry at hand. An index has names as strings.
static Datum ValueOf(Walk* walk) {
    bool null;
    IndexScanDesc scan = walk->scan;
    Datum value = index_getattr(scan->xs_itup, walk->column + 1, scan->xs_itupdesc, &null);
    Assert(!null);
    if (TupleDescAttr(scan->xs_itupdesc, walk->column)->atttypid == CSTRINGOID)
        return DirectFunctionCall1(namein, value);
    return value;
}

// What the scan itself allocates lives in the current context, what is compared in `each`.
static void WalkValues(Walk* walk, Relation index, DistinctQuery* query) {
    MemoryContext each =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate distinct value", ALLOCSET_SMALL_SIZES);
    MemoryContext outer = CurrentMemoryContext;
    int16 len = query->order->typlen;
    bool byval = query->order->typbyval, first = true, bounded = false;
    Datum last = (Datum)0, bound = (Datum)0;
    int same = 0;
    ItemPointer tid;
    SetNullKey(&walk->keys[walk->bound], walk->column, SK_SEARCHNOTNULL);
    index_rescan(walk->scan, walk->keys, walk->nkeys, NULL, 0);
    while ((tid = index_getnext_tid(walk->scan, walk->direction)) != NULL) {
        CHECK_FOR_INTERRUPTS();
        MemoryContextSwitchTo(each);
        Datum value = ValueOf(walk);
        bool known = !first && DatumGetInt32(FunctionCall2Coll(&query->order->cmp_proc_finfo,
                                                               query->collation, last, value)) == 0;
        MemoryContextSwitchTo(outer);
        if (known && ++same == kSteps) {
            // The scan's keys need the old bound until they are others.
            Datum next = datumCopy(last, byval, len);
            SetKey(&walk->keys[walk->bound], index, walk->column, BTGreaterStrategyNumber, next);
            index_rescan(walk->scan, walk->keys, walk->nkeys, NULL, 0);
            if (bounded && !byval) pfree(DatumGetPointer(bound));
            bound = next;
            bounded = true;
            same = 0;
        } else if (!known && Visible(walk, tid)) {
            tuplesort_putdatum(query->values, value, false);
            if (!first && !byval) pfree(DatumGetPointer(last));
            last = datumCopy(value, byval, len);
            first = false;
            same = 0;
        }
        MemoryContextReset(each);
    }
}

static void LookForNull(Walk* walk, DistinctQuery* query) {
    ItemPointer tid;
    SetNullKey(&walk->keys[walk->bound], walk->column, SK_SEARCHNULL);
    index_rescan(walk->scan, walk->keys, walk->nkeys, NULL, 0);
    while (!query->null && (tid = index_getnext_tid(walk->scan, walk->direction)) != NULL) {
        CHECK_FOR_INTERRUPTS();
        query->null = Visible(walk, tid);
    }
}

void LooseScan(Relation table, Oid index_oid, DistinctQuery* query) {
    MemoryContext mine =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate distinct", ALLOCSET_DEFAULT_SIZES);
    MemoryContext outer = MemoryContextSwitchTo(mine);
    Relation index = index_open(index_oid, AccessShareLock);
    Walk walk = {};
    SetKeys(&walk, table, index, query);
    walk.slot = table_slot_create(table, NULL);
    walk.map = InvalidBuffer;
    walk.scan = BeginIndexScan(table, index, GetActiveSnapshot(), walk.nkeys);
    walk.scan->xs_want_itup = true;
    WalkValues(&walk, index, query);
    if (!query->null) LookForNull(&walk, query);
    if (BufferIsValid(walk.map)) ReleaseBuffer(walk.map);
    index_endscan(walk.scan);
    ExecDropSingleTupleTableSlot(walk.slot);
    index_close(index, NoLock);
    MemoryContextSwitchTo(outer);
    MemoryContextDelete(mine);
}
