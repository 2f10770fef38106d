// Who stands in the way, in words for an error's detail. Read from views that anybody may read; of others'
// sessions a role without pg_monitor sees neither state nor age.
#pragma once

#include "pg/server/compat.h"

// Who holds a lock on the table that SHARE has to wait for: since when longest. In the current context; NULL
// if nobody does any more.
char* WriterOf(Oid table);

// The transaction of this database that has been open for longest of those that have a snapshot now. With
// `gone` valid: of those because of which a snapshot may still not know that this transaction has committed;
// that may be one that has only written, or was prepared, and keeps the newer ones of others old. NULL if
// none is left.
char* OldestSnapshot(TransactionId gone);
