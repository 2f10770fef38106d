#include "pg/move_claim.h"

#include "pg/tables.h"

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

static bool Claim(const MoveTarget* target, ItemPointerData tid, CommandId command, Snapshot snapshot) {
    TM_FailureData failure;
    TM_Result result =
        table_tuple_delete(target->child, &tid, command, snapshot, InvalidSnapshot, false, &failure, true);
    return result == TM_Ok;
}

static void DeleteBySql(const MoveTarget* target, const ClaimedRows* claimed) {
    Datum* tids = (Datum*)palloc(sizeof(Datum) * claimed->count);
    for (int i = 0; i < claimed->count; i++) tids[i] = PointerGetDatum(&claimed->tids[i]);
    ArrayType* array =
        construct_array(tids, claimed->count, TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT);
    SqlArg args[] = {{TIDARRAYOID, PointerGetDatum(array), false}};
    uint64 deleted =
        RunSql(psprintf("DELETE FROM ONLY %s WHERE ctid = ANY ($1)", target->child_name), args, 1, 0).rows;
    if (deleted != (uint64)claimed->count)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("only " UINT64_FORMAT " of %d moved rows left child %s", deleted,
                               claimed->count, target->child_name),
                        errhint("A DELETE trigger or a policy of the child keeps them; nothing was moved.")));
}

ClaimedRows* ClaimRows(const MoveTarget* target, const ItemPointerData* tids, int count) {
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate claimed rows", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    ClaimedRows* claimed = (ClaimedRows*)palloc0(sizeof(ClaimedRows));
    claimed->context = context;
    claimed->tids = (ItemPointerData*)palloc(sizeof(ItemPointerData) * count);
    claimed->rows = (HeapTuple*)MemoryContextAllocHuge(context, sizeof(HeapTuple) * count);
    int natts = target->row->natts;
    Datum* values = (Datum*)palloc(sizeof(Datum) * natts);
    bool* nulls = (bool*)palloc(sizeof(bool) * natts);

    CommandId command = GetCurrentCommandId(true);
    PushActiveSnapshot(GetTransactionSnapshot());
    Snapshot snapshot = GetActiveSnapshot();
    TupleTableSlot* slot = table_slot_create(target->child, NULL);
    for (int i = 0; i < count; i++) {
        CHECK_FOR_INTERRUPTS();
        ItemPointerData tid = tids[i];
        // A row that was changed since it was chosen is another version now, perhaps one that no longer
        // matches.
        if (!table_tuple_fetch_row_version(target->child, &tid, snapshot, slot) ||
            (target->native_delete && !target->truncates && !Claim(target, tid, command, snapshot))) {
            claimed->busy++;
            continue;
        }
        claimed->tids[claimed->count] = tid;
        claimed->rows[claimed->count] = RowForParent(target, slot, values, nulls, claimed->count);
        claimed->count++;
    }
    ExecDropSingleTupleTableSlot(slot);
    PopActiveSnapshot();
    if (!target->native_delete && claimed->count > 0) DeleteBySql(target, claimed);
    CommandCounterIncrement();
    MemoryContextSwitchTo(caller);
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
