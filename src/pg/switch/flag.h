// The flag of a project's entity: whether applications use PostgreSQL.
#pragma once

#include "pg/server/compat.h"

// As it stands, for who is about to change it: read with a fresh snapshot, as the extension's owner. `since`,
// if wanted, is when it was last changed (0: never).
bool ReadFlag(Oid schema, const char* tenant, const char* project, const char* entity, TimestampTz* since);

// Writes it, in this transaction, and tells those who LISTEN voucher_migrate once that commits. Returns the
// time that is written. The user is who called, not the extension's owner.
TimestampTz WriteFlag(Oid schema, const char* tenant, const char* project, const char* entity, bool switched);
