// Running conditions that others have stored.
#pragma once

#include "pg/server/tables.h"

// Until the transaction's or subtransaction's end, or Unseal: conditions, whoever stored them, write nothing
// and cannot change the session; they see pg_catalog only. The user stays the caller: statements are analysed
// as him, and run as EnterRole says.
struct Sealed {
    SafePath path;
    Oid user;
    int context;
    bool read_only;
};
Sealed Seal(void);
void Unseal(Sealed sealed);

// Whose rights a condition over a child's rows gets. Who stores one is of the tables' owners, or trusted by
// them, and must not get the rights of a superuser who asks it: it is the parent's owner, or else the
// child's (a superuser only if the parent's owner is one), if the caller could act as that role anyway; else
// the caller. It never has more rights than the caller.
Oid RoleOfConditions(Oid child, Oid parent);

// Runs what was analysed within Seal as that role, until Leave or an error. Rows that policies hide from it
// and not from the caller are an error (42501), not left out.
struct Role {
    Oid user;
    int context;
    int nest;
};
Role EnterRole(Oid role);
void LeaveRole(Role saved);

// Whether a SELECT has a row, asked within Seal and as a role.
bool HasRowAs(Oid role, const char* sql);
