// Running conditions that others have stored.
#pragma once

#include "pg/server/tables.h"

// Until the transaction's or subtransaction's end, or Unseal: conditions, whoever stored them, write nothing
// and cannot change the session; they see pg_catalog only. The user stays the caller.
struct Sealed {
    SafePath path;
    Oid user;
    int context;
    bool read_only;
};
Sealed Seal(void);
void Unseal(Sealed sealed);
