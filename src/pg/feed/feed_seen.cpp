#include "pg/feed/feed_seen.h"

#include "pg/server/tables.h"

// A key that a row stands for already would be waited for. A transaction that this process has prepared may
// hold it, and its feed commits that one only when this one is through.
void NoteFeed(Oid schema, Oid child) {
    SqlArg args[] = {OidArg(REGCLASSOID, child),
                     {INT4OID, Int32GetDatum(MyProcPid), false},
                     {TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentStatementStartTimestamp()), false}};
    char* seen = ExtensionName(schema, "vm_feed_seen");
    AsOwner owner = EnterAsOwner(schema);
    SqlResult own =
        RunSavedSql(psprintf("UPDATE %s SET last_at = $3 WHERE ctid = (SELECT ctid FROM %s WHERE child = $1 "
                             "AND pid = $2 ORDER BY first_at LIMIT 1 FOR UPDATE SKIP LOCKED)",
                             seen, seen),
                    args, lengthof(args), 0);
    if (own.rows == 0)
        RunSavedSql(
            psprintf("INSERT INTO %s (child, pid, last_at) SELECT $1, $2, $3 FROM %s WHERE child = $1", seen,
                     ExtensionName(schema, "vm_project_entity")),
            args, lengthof(args), 0);
    LeaveAsOwner(owner);
}
