// Making a child from its parent: table, indexes, constraints, trigger, storage. DDL, as the caller.
#pragma once

#include "pg/server/compat.h"

// What can be a parent: an ordinary or a partitioned table that is no child itself. Errors: 42809, 0A000.
void CheckParent(Relation rel);

// parent_tenant_project, cut with a hash of the whole where it does not fit a name.
char* ChildName(const char* parent, const char* tenant, const char* project);
// The same with a hash that tells a_b, c from a, b_c: where another project has the first name.
char* DistinctChildName(const char* parent, const char* tenant, const char* project);

struct NewChild {
    Oid schema;  // of the extension
    Oid parent;
    const char* mapping;
    const char* tenant;   // NULL: a child of a pool, which serves one project after another
    const char* project;  // NULL with it
    const char* name;     // in the parent's schema
};
// Errors: no parent (42809, 0A000), the mapping does not fit it (22023), the name is taken (42P07).
Oid MakeChild(const NewChild* wanted);
