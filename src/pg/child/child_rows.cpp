#include "pg/child/child_rows.h"

#include "pg/move/move_lock.h"

extern "C" {
#include <access/tableam.h>
#include <access/transam.h>
#include <catalog/pg_am.h>
#include <storage/proc.h>
#include <storage/procarray.h>
#include <utils/snapmgr.h>
}

ChildRows CountRows(Relation child) {
    ChildRows rows = {};
    AttrNumber doc = get_attnum(RelationGetRelid(child), "_doc");
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    TableScanDesc scan = table_beginscan(child, snapshot, 0, NULL);
    TupleTableSlot* slot = table_slot_create(child, NULL);
    while (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        rows.all++;
        rows.half += doc != InvalidAttrNumber && slot_attisnull(slot, doc);
    }
    ExecDropSingleTupleTableSlot(slot);
    table_endscan(scan);
    UnregisterSnapshot(snapshot);
    return rows;
}

// What the rows of a child that are not gone for everybody tell.
struct Traces {
    bool rows;                // some are there, or are being written or deleted by others
    bool deleted_here;        // this transaction has deleted some
    TransactionId last_gone;  // the last that has deleted some, and is committed
};

static void Note(Traces* traces, HeapTupleHeader row) {
    TransactionId deleter = InvalidTransactionId;
    if (!(row->t_infomask & HEAP_XMAX_INVALID) && !HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask))
        deleter = HeapTupleHeaderGetUpdateXid(row);
    if (!TransactionIdIsValid(deleter)) {
        traces->rows = true;
    } else if (TransactionIdIsCurrentTransactionId(deleter)) {
        traces->deleted_here = true;
    } else if (TransactionIdIsInProgress(deleter) || !TransactionIdDidCommit(deleter)) {
        traces->rows = true;
    } else if (!TransactionIdIsValid(traces->last_gone) ||
               TransactionIdPrecedes(traces->last_gone, deleter)) {
        traces->last_gone = deleter;
    }
}

static Traces TracesOf(Relation child) {
    Traces traces = {};
    // Makes the server look anew which transactions are open.
    UnregisterSnapshot(RegisterSnapshot(GetLatestSnapshot()));
    SnapshotData any = {};
    InitNonVacuumableSnapshot(any, GlobalVisTestFor(child));
    TableScanDesc scan = table_beginscan(child, &any, 0, NULL);
    TupleTableSlot* slot = table_slot_create(child, NULL);
    while (!traces.rows && table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        CHECK_FOR_INTERRUPTS();
        Note(&traces, ExecFetchSlotHeapTuple(slot, false, NULL)->t_data);
    }
    ExecDropSingleTupleTableSlot(slot);
    table_endscan(scan);
    return traces;
}

// Whether a transaction may still see rows that another, which is committed, has deleted. Autovacuum reads
// nothing that an application would miss, nor does another vm_finish: two that wait would wait for each
// other. While an older transaction writes, a later snapshot counts too, for no longer than it is there: only
// how far back it reaches is to be seen, and one that was exported and imported just now may reach as far.
static bool HasOlderSnapshots(TransactionId deleter) {
    int count;
    VirtualTransactionId* older =
        GetCurrentVirtualXIDs(deleter, true, false, PROC_IS_AUTOVACUUM | PROC_IN_VACUUM, &count);
    const VirtualTransactionId* finishing = MoveSharers(MoveLockOn::Finish);
    for (int i = 0; i < count; i++) {
        bool finishes = false;
        for (const VirtualTransactionId* other = finishing; VirtualTransactionIdIsValid(*other); other++)
            finishes |= VirtualTransactionIdEquals(*other, older[i]);
        if (!finishes) return true;
    }
    return false;
}

Seen WhoSees(Relation child, TransactionId* gone) {
    *gone = InvalidTransactionId;
    if (child->rd_rel->relam != HEAP_TABLE_AM_OID)
        return CountRows(child).all > 0 ? Seen::ByOthers : Seen::ByNobody;
    Traces traces = TracesOf(child);
    if (traces.rows) return Seen::ByOthers;
    if (traces.deleted_here) return Seen::ByThisTransaction;
    if (!TransactionIdIsValid(traces.last_gone) || !HasOlderSnapshots(traces.last_gone))
        return Seen::ByNobody;
    *gone = traces.last_gone;
    return Seen::ByOthers;
}
