// Registered parents, one by one; project.h has those of a project.
#pragma once

#include "pg/project/project.h"

// An entity as it is registered, or NULL. Its table may be gone.
Parent* FindParent(Oid schema, const char* entity);
// An entity as it is registered. Error: it is not (22023).
Parent* RegisteredParent(Oid schema, const char* entity);

// Until the transaction's end: parents stay as they are while children are made of them, or (`change`) no
// child is made while they change.
void LockParents(Oid schema, bool change);
