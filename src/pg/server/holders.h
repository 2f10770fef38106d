// Who stands in the way, in words for an error's detail.
#pragma once

#include "pg/server/tables.h"

// The session that has held a lock for longest, as a sentence; NULL if nobody does any more. Sessions are
// looked at as the extension's owner. `what` and `condition` are SQL over the lock l; $1 is `arg`.
char* LockHolder(Oid schema, const char* what, const char* condition, SqlArg arg);

// Who holds a lock on the table that SHARE has to wait for.
char* WriterOf(Oid schema, Oid table);

// The transaction of this database that has been open for longest of those that have a snapshot now. With
// `gone` valid: of those because of which a snapshot may still not know that this transaction has committed;
// that may be one that has only written, or was prepared, and keeps the newer ones of others old. NULL if
// none is left. Read as the caller: of others' sessions a role without pg_monitor sees no age.
char* OldestSnapshot(TransactionId gone);
