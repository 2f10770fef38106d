#include "pg/server/holders.h"

#include "pg/server/tables.h"

static char* Ask(const char* sql, SqlArg arg) {
    SafePath path = EnterSafePath();
    SqlResult row = RunSql(sql, &arg, 1, 1);
    LeaveSafePath(path);
    return row.found ? TextOrNull(&row, 0) : NULL;
}

char* LockHolder(Oid schema, const char* what, const char* condition, SqlArg arg) {
    SqlResult row = RunAsOwner(
        schema,
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
    return row.found ? TextOrNull(&row, 0) : NULL;
}

char* WriterOf(Oid schema, Oid table) {
    return LockHolder(
        schema, "l.mode || ' on it'",
        "l.locktype = 'relation' AND l.relation = $1 AND l.database = (SELECT oid FROM pg_database WHERE "
        "datname = current_database()) AND l.mode IN ('RowExclusiveLock', 'ShareUpdateExclusiveLock', "
        "'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')",
        OidArg(OIDOID, table));
}

char* OldestSnapshot(TransactionId gone) {
    return Ask(
        "SELECT who FROM (SELECT xact_start AS began, format('Process %s (%s), role %s, is in a transaction "
        "that began %s s ago.', pid, coalesce(nullif(application_name, ''), backend_type, 'unknown'), "
        "coalesce(usename::text, 'unknown'), coalesce(round(extract(epoch FROM clock_timestamp() - "
        "xact_start), 1)::text, '?')) AS who FROM pg_stat_activity WHERE datname = current_database() AND "
        "pid <> pg_backend_pid() AND backend_type IS DISTINCT FROM 'autovacuum worker' AND CASE WHEN $1 IS "
        "NULL THEN backend_xmin IS NOT NULL ELSE age(backend_xmin) >= age($1) OR age(backend_xid) >= "
        "age($1) END UNION ALL SELECT prepared, format('Transaction %L of role %s has been prepared since %s "
        "s.', gid, owner, round(extract(epoch FROM clock_timestamp() - prepared), 1)) FROM "
        "pg_prepared_xacts WHERE database = current_database() AND age(transaction) >= age($1)) open "
        "ORDER BY began LIMIT 1",
        SqlArg{XIDOID, TransactionIdGetDatum(gone), !TransactionIdIsValid(gone)});
}
