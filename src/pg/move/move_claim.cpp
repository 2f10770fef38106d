#include "pg/move/move_claim.h"

#include "pg/server/tables.h"

extern "C" {
#include <access/tableam.h>
#include <executor/tuptable.h>
#include <utils/snapmgr.h>
#include <utils/tuplestore.h>
}

// The parent's columns of a row of the child. Values that stand in the child's TOAST table stay there: they
// can be read until the transaction ends.
static HeapTuple RowForParent(const MoveTarget* target, TupleTableSlot* slot, Datum* values, bool* nulls,
                              int number) {
    TupleDesc desc = RelationGetDescr(target->parent);
    slot_getsomeattrs(slot, target->needed);
    for (int i = 0; i < desc->natts; i++) {
        int from = target->map[i] - 1;
        nulls[i] = from < 0 || slot->tts_isnull[from];
        values[i] = nulls[i] ? (Datum)0 : slot->tts_values[from];
    }
    if (target->native_insert) return heap_form_tuple(desc, values, nulls);
    nulls[desc->natts] = false;
    values[desc->natts] = Int32GetDatum(number);
    return heap_form_tuple(target->row, values, nulls);
}

static void DeleteBySql(const MoveTarget* target, const ClaimedRows* claimed) {
    Datum* tids = (Datum*)palloc(sizeof(Datum) * claimed->count);
    for (int i = 0; i < claimed->count; i++) tids[i] = PointerGetDatum(&claimed->tids[i]);
    ArrayType* array =
        construct_array(tids, claimed->count, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT);
    SqlArg args[] = {{TIDARRAYOID, PointerGetDatum(array), false}};
    uint64 deleted =
        RunSql(psprintf("DELETE FROM ONLY %s WHERE ctid OPERATOR(pg_catalog.=) ANY ($1)", target->child_name),
               args, 1, 0)
            .rows;
    if (deleted != (uint64)claimed->count)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("only " UINT64_FORMAT " of %d moved rows left child %s", deleted,
                               claimed->count, target->child_name),
                        errhint("A DELETE trigger or a policy of the child keeps them; nothing was moved.")));
}

// A batch being taken.
struct Claim {
    const MoveTarget* target;
    MoveScan* scan;
    ClaimedRows* claimed;
    CommandId command;
    Snapshot snapshot;
    TupleTableSlot* slot;  // the row at hand
    Datum* values;
    bool* nulls;
};

// Takes the row in the slot, unless it would have to be waited for.
static void TakeRow(Claim* claim) {
    const MoveTarget* target = claim->target;
    ClaimedRows* claimed = claim->claimed;
    ItemPointerData tid = claim->slot->tts_tid;
    if (target->native_delete && !target->truncates) {
        TM_FailureData failure;
        TM_Result result = table_tuple_delete(target->child, &tid, claim->command, claim->snapshot,
                                              InvalidSnapshot, false, &failure, true);
        if (result != TM_Ok) {
            claimed->busy++;
            NoteBusy(claim->scan, PlaceOf(&tid));
            return;
        }
    }
    claimed->tids[claimed->count] = tid;
    claimed->rows[claimed->count] =
        RowForParent(target, claim->slot, claim->values, claim->nulls, claimed->count);
    claimed->count++;
}

// Rows that a filter, or a policy, has chosen.
static void TakeChosen(Claim* claim, const ItemPointerData* tids, int count) {
    for (int i = 0; i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        ItemPointerData tid = tids[i];
        // One that was changed since is another version now, perhaps one that no longer matches.
        if (table_tuple_fetch_row_version(claim->target->child, &tid, claim->snapshot, claim->slot)) {
            TakeRow(claim);
        } else {
            claim->claimed->busy++;
            NoteBusy(claim->scan, PlaceOf(&tid));
        }
    }
}

static bool HasDocument(const MoveTarget* target, TupleTableSlot* slot) {
    bool null;
    (void)slot_getattr(slot, target->compiled->table.doc_att, &null);
    return !null;
}

// Rows as they come, up to `to`; true if a further one was seen, and the scan is at it.
static bool TakeStretch(Claim* claim, MovePlace to, int want) {
    MovePlace from = claim->scan->at;
    ItemPointerData first, last;
    ItemPointerSet(&first, from.block, from.offset);
    if (to.offset == 0)
        ItemPointerSet(&last, to.block - 1, MaxOffsetNumber);
    else
        ItemPointerSet(&last, to.block, to.offset - 1);
    TableScanDesc rows = table_beginscan_tidrange(claim->target->child, claim->snapshot, &first, &last);
    bool more = false;
    while (!more && table_scan_getnextslot_tidrange(rows, ForwardScanDirection, claim->slot)) {
        CHECK_FOR_INTERRUPTS();
        if (!HasDocument(claim->target, claim->slot)) continue;
        more = claim->claimed->count == want;
        if (!more) TakeRow(claim);
    }
    claim->scan->at = more ? PlaceOf(&claim->slot->tts_tid) : to;
    table_endscan(rows);
    return more;
}

static ClaimedRows* NewClaimedRows(int most) {
    ClaimedRows* claimed = (ClaimedRows*)palloc0(sizeof(ClaimedRows));
    claimed->tids = (ItemPointerData*)palloc(sizeof(ItemPointerData) * most);
    claimed->rows = (HeapTuple*)palloc(sizeof(HeapTuple) * most);
    return claimed;
}

bool TakenAsRead(const MoveTarget* target) {
    return target->options.filter == NULL && target->native_delete && !target->same_keys;
}

ClaimedRows* ClaimNextRows(const MoveTarget* target, MoveScan* scan, int want, bool* more) {
    bool chosen = !TakenAsRead(target);
    int count = 0;
    *more = false;
    ItemPointerData* tids = chosen ? NextRows(target, scan, want, &count, more) : NULL;

    if (target->same_keys && count > 0) tids = WithSameKeys(target, tids, &count);

    ClaimedRows* claimed = NewClaimedRows(Max(want, count));
    Claim claim = {};
    claim.target = target;
    claim.scan = scan;
    claim.claimed = claimed;
    claim.command = GetCurrentCommandId(true);
    claim.slot = table_slot_create(target->child, NULL);
    claim.values = (Datum*)palloc(sizeof(Datum) * target->row->natts);
    claim.nulls = (bool*)palloc(sizeof(bool) * target->row->natts);
    PushActiveSnapshot(GetTransactionSnapshot());
    claim.snapshot = GetActiveSnapshot();
    if (chosen) {
        TakeChosen(&claim, tids, count);
    } else {
        MovePlace to;
        while (!*more && !StretchIsBatch(scan, claimed->count) && NextStretch(target, scan, &to))
            *more = TakeStretch(&claim, to, want);
    }
    ExecDropSingleTupleTableSlot(claim.slot);
    PopActiveSnapshot();
    if (!target->native_delete && claimed->count > 0) DeleteBySql(target, claimed);
    CommandCounterIncrement();
    return claimed;
}

Tuplestorestate* ChildRows(const MoveTarget* target, const ClaimedRows* claimed, const int* which,
                           int count) {
    Tuplestorestate* store = tuplestore_begin_heap(false, false, work_mem);
    TupleTableSlot* slot = table_slot_create(target->child, NULL);
    for (int i = 0; i < count; i++) {
        // We have deleted it, so it cannot be vacuumed before we end.
        ItemPointerData tid = claimed->tids[which[i]];
        if (!table_tuple_fetch_row_version(target->child, &tid, SnapshotAny, slot))
            elog(ERROR, "a row that was just taken from child %s cannot be found", target->child_name);
        tuplestore_puttupleslot(store, slot);
    }
    ExecDropSingleTupleTableSlot(slot);
    return store;
}
