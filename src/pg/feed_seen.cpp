#include "pg/feed_seen.h"

#include "pg/tables.h"

void NoteFeed(Oid schema, Oid child) {
    SqlArg args[] = {OidArg(REGCLASSOID, child),
                     {INT4OID, Int32GetDatum(MyProcPid), false},
                     {TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentStatementStartTimestamp()), false}};
    AsOwner owner = EnterAsOwner(schema);
    RunSavedSql(psprintf("INSERT INTO %s (child, pid, last_at) SELECT $1, $2, $3 FROM %s WHERE child = $1 ON "
                         "CONFLICT (child, pid) DO UPDATE SET last_at = excluded.last_at",
                         ExtensionName(schema, "vm_feed_seen"), ExtensionName(schema, "vm_project_entity")),
                args, lengthof(args), 0);
    LeaveAsOwner(owner);
}
