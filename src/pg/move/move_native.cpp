// Rows straight into the parent's heap and indexes, some at a time.
#include "pg/move/move_insert.h"

extern "C" {
#include <access/tableam.h>
#include <executor/executor.h>
#include <utils/snapmgr.h>
}

// Few enough to be in the processor's cache still when the indexes are filled.
static constexpr int kAtOnce = 100;
static constexpr Size kBytesAtOnce = 256 * 1024;

// Puts one stored row into the indexes; false if a unique index has its key, or may have.
static bool Indexed(ResultRelInfo* result, TupleTableSlot* slot, EState* estate) {
    List* doubtful = result->ri_NumIndices > 0 ? InsertIndexTuplesUnlessTaken(result, slot, estate) : NIL;
    bool taken = doubtful != NIL;
    list_free(doubtful);
    return !taken;
}

int* InsertNatively(const MoveTarget* target, const ClaimedRows* claimed, int lo, int hi, int* nconflicts) {
    Relation parent = target->parent;
    int* conflicts = (int*)palloc(sizeof(int) * (hi - lo));
    *nconflicts = 0;
    EState* estate = CreateExecutorState();
    ResultRelInfo* result = makeNode(ResultRelInfo);
    InitResultRelInfo(result, parent, 0, NULL, 0);
    ExecOpenIndices(result, false);
    bool constraints = RelationGetDescr(parent)->constr != NULL;
    CommandId command = GetCurrentCommandId(true);
    PushActiveSnapshot(GetTransactionSnapshot());

    int most = Min(kAtOnce, hi - lo);
    TupleTableSlot** slots = (TupleTableSlot**)palloc(sizeof(TupleTableSlot*) * most);
    for (int i = 0; i < most; i++)
        slots[i] = MakeSingleTupleTableSlot(RelationGetDescr(parent), &TTSOpsHeapTuple);
    MemoryContext each =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate native insert", ALLOCSET_DEFAULT_SIZES);
    for (int at = lo; at < hi;) {
        CHECK_FOR_INTERRUPTS();
        MemoryContext outer = MemoryContextSwitchTo(each);
        int n = 0;
        for (Size bytes = 0; n < most && at + n < hi && bytes < kBytesAtOnce; n++) {
            ExecStoreHeapTuple(claimed->rows[at + n], slots[n], false);
            slots[n]->tts_tableOid = RelationGetRelid(parent);
            if (constraints) ExecConstraints(result, slots[n], estate);
            bytes += claimed->rows[at + n]->t_len;
        }
        // No BulkInsertState: its small ring of buffers would have us write pages ourselves.
        table_multi_insert(parent, slots, n, command, 0, NULL);
        for (int i = 0; i < n; i++) {
            if (!Indexed(result, slots[i], estate)) conflicts[(*nconflicts)++] = at + i;
            ResetPerTupleExprContext(estate);
        }
        // A row whose key is taken leaves again; nobody else has seen it.
        if (*nconflicts > 0) CommandCounterIncrement();
        for (int c = *nconflicts - 1; c >= 0 && conflicts[c] >= at; c--)
            simple_table_tuple_delete(parent, &slots[conflicts[c] - at]->tts_tid, GetActiveSnapshot());
        if (*nconflicts > 0) {
            CommandCounterIncrement();
            command = GetCurrentCommandId(true);
        }
        at += n;
        MemoryContextSwitchTo(outer);
        MemoryContextReset(each);
    }
    for (int i = 0; i < most; i++) ExecDropSingleTupleTableSlot(slots[i]);
    PopActiveSnapshot();
    table_finish_bulk_insert(parent, 0);
    ExecCloseIndices(result);
    FreeExecutorState(estate);
    CommandCounterIncrement();
    return conflicts;
}
