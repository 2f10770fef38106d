#include "pg/switch/holder.h"

#include "pg/server/holders.h"
#include "pg/server/tables.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/multixact.h>
#include <access/skey.h>
#include <access/subtrans.h>
#include <access/table.h>
#include <access/transam.h>
#include <catalog/pg_type.h>
#include <storage/procarray.h>
#include <utils/fmgroids.h>
#include <utils/rel.h>
}

// The transaction at work that has locked a row, other than for a foreign key; or none.
static TransactionId LockerOf(HeapTupleHeader row) {
    if ((row->t_infomask & HEAP_XMAX_INVALID) != 0) return InvalidTransactionId;
    TransactionId locker = HeapTupleHeaderGetRawXmax(row);
    if ((row->t_infomask & HEAP_XMAX_IS_MULTI) == 0)
        return TransactionIdIsInProgress(locker) ? locker : InvalidTransactionId;
    MultiXactMember* members;
    int count = GetMultiXactIdMembers(locker, &members, false, HEAP_XMAX_IS_LOCKED_ONLY(row->t_infomask));
    for (int i = 0; i < count; i++)
        if (members[i].status != MultiXactStatusForKeyShare && TransactionIdIsInProgress(members[i].xid))
            return members[i].xid;
    return InvalidTransactionId;
}

static TransactionId RowLocker(Oid schema, const char* tenant, const char* project) {
    Relation projects = table_open(ExtensionTable(schema, "vm_project"), AccessShareLock);
    list_free(RelationGetIndexList(projects));
    const char* const texts[] = {tenant, project};
    ScanKeyData keys[lengthof(texts)];
    for (int i = 0; i < (int)lengthof(texts); i++)
        ScanKeyEntryInitialize(&keys[i], 0, i + 1, BTEqualStrategyNumber, TEXTOID,
                               TupleDescAttr(RelationGetDescr(projects), i)->attcollation, F_TEXTEQ,
                               CStringGetTextDatum(texts[i]));
    SysScanDesc scan = systable_beginscan(projects, projects->rd_pkindex, OidIsValid(projects->rd_pkindex),
                                          NULL, lengthof(texts), keys);
    HeapTuple row = systable_getnext(scan);
    TransactionId locker = HeapTupleIsValid(row) ? LockerOf(row->t_data) : InvalidTransactionId;
    systable_endscan(scan);
    table_close(projects, AccessShareLock);
    return locker;
}

char* ProjectHolder(Oid schema, const char* tenant, const char* project) {
    TransactionId locker = RowLocker(schema, tenant, project);
    if (!TransactionIdIsValid(locker)) return NULL;
    // A subtransaction that has ended has no lock of its own any more.
    locker = SubTransGetTopmostTransaction(locker);
    return LockHolder(schema, "'it'", "l.locktype = 'transactionid' AND l.transactionid = $1",
                      SqlArg{XIDOID, TransactionIdGetDatum(locker), false});
}
