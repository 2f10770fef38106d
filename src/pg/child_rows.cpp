#include "pg/child_rows.h"

extern "C" {
#include <access/tableam.h>
#include <catalog/pg_am.h>
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

Seen WhoSees(Relation child) {
    if (child->rd_rel->relam != HEAP_TABLE_AM_OID)
        return CountRows(child).all > 0 ? Seen::ByOthers : Seen::ByNobody;
    // Makes the server look anew which transactions are open.
    UnregisterSnapshot(RegisterSnapshot(GetLatestSnapshot()));
    SnapshotData seen = {};
    InitNonVacuumableSnapshot(seen, GlobalVisTestFor(child));
    TableScanDesc scan = table_beginscan(child, &seen, 0, NULL);
    TupleTableSlot* slot = table_slot_create(child, NULL);
    Seen by = Seen::ByNobody;
    if (table_scan_getnextslot(scan, ForwardScanDirection, slot)) {
        HeapTupleHeader row = ExecFetchSlotHeapTuple(slot, false, NULL)->t_data;
        bool deleted = !(row->t_infomask & HEAP_XMAX_INVALID);
        by = deleted && TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(row))
                 ? Seen::ByThisTransaction
                 : Seen::ByOthers;
    }
    ExecDropSingleTupleTableSlot(slot);
    table_endscan(scan);
    return by;
}
