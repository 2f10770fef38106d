#include "pg/switch/holder.h"

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

// The session behind a lock, as a sentence; `what` is SQL over the lock l.
static char* DescribeLock(Oid schema, const char* what, const char* condition, SqlArg arg) {
    AsOwner owner = EnterAsOwner(schema);
    SqlResult row = RunSql(
        psprintf(
            "SELECT CASE WHEN l.pid IS NULL "
            "THEN format('Prepared transaction %%L holds %%s, since %%s s.', p.gid, %s, "
            "round(extract(epoch FROM clock_timestamp() - p.prepared), 1)) "
            "ELSE format('Process %%s (%%s%%s) holds %%s, in a transaction that began %%s s ago.', l.pid, "
            "coalesce('user ' || a.usename || ', ', ''), "
            "coalesce(nullif(a.application_name, ''), a.backend_type, 'unknown'), %s, "
            "coalesce(round(extract(epoch FROM clock_timestamp() - a.xact_start), 1)::text, '?')) END "
            "FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid "
            "LEFT JOIN pg_locks t ON l.pid IS NULL AND t.pid IS NULL AND t.locktype = 'transactionid' "
            "AND t.virtualtransaction = l.virtualtransaction "
            "LEFT JOIN pg_prepared_xacts p ON p.transaction = t.transactionid "
            "WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid() AND %s "
            "ORDER BY coalesce(p.prepared, a.xact_start) LIMIT 1",
            what, what, condition),
        &arg, 1, 1);
    LeaveAsOwner(owner);
    return row.found ? TextOrNull(&row, 0) : NULL;
}

char* TableHolder(Oid schema, Oid table) {
    return DescribeLock(
        schema, "l.mode || ' on it'",
        "l.locktype = 'relation' AND l.relation = $1 AND l.database = (SELECT oid FROM pg_database WHERE "
        "datname = current_database()) AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', "
        "'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')",
        OidArg(OIDOID, table));
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
    return DescribeLock(schema, "'it'", "l.locktype = 'transactionid' AND l.transactionid = $1",
                        SqlArg{XIDOID, TransactionIdGetDatum(locker), false});
}
