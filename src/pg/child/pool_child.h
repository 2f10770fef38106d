// Pools: children made once, each serving one project after another. Their trigger names no tenant and no
// project; vm_project_entity says which they serve.
#pragma once

#include "pg/project/project.h"

// The tenant and project that a child of a pool serves, as they are now, whatever the transaction's snapshot.
// False: it belongs to no pool. Error: it serves no project (55000).
bool ServedProject(Oid schema, Oid child, char** served);

// A free child of the entity's pool, locked against writers and empty; InvalidOid if there is no pool. The
// caller records whose it is. Errors: none is free, it is not empty, or has not the columns that the parent
// has now (55000); not the caller's (42501).
Oid TakeFromPool(Oid schema, const Parent* parent, const char* tenant, const char* project);
