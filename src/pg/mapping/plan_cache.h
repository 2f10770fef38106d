// Compiled mappings: one per trigger, kept until the table or vm_mapping changes.
#pragma once

#include "pg/server/columns.h"
#include "pg/server/compat.h"
#include "pg/trigger/constraints.h"
#include "wall/wall.h"

// A mapping compiled for a table, with what it takes to fill the table's columns. Owned by `context`.
struct CompiledMapping {
    MemoryContext context;
    vm::Plan* plan;  // freed with the context
    wall::PlanInfo info;
    TableColumns table;
    ColumnIo** io;                  // for each column of the plan
    char* mapping;                  // its name
    Oid schema;                     // of the extension
    ChildConstraints* constraints;  // asked in quarantine mode; NULL if there are none
    bool any_fallible;              // the server may refuse values the core has accepted
};

// Compiles a mapping for a table into a new context under `parent`. nargs < 0: not for a trigger.
// Errors: the mapping does not exist (42704), its rules do not fit the table (22023).
CompiledMapping* CompileMapping(Oid schema, const char* mapping, Relation rel, char** args, int nargs,
                                MemoryContext parent);

// A trigger's place in this backend's cache. It is never freed; what it points to is compiled anew once it is
// stale, and what was there before lives until the transaction ends, for whoever still uses it.
struct PlanEntry {
    Oid trigger;  // hash key
    Oid relation;
    bool stale;
    TimestampTz feed_noted;  // see feed_seen.h
    CompiledMapping* compiled;
};
// A child of a pool whose trigger names no tenant is compiled for the project it serves; error: none (55000).
PlanEntry* LookUpPlan(Oid schema, const char* mapping, Relation rel, Trigger* trigger, int first_arg);

// The mapping's rules as JSON text; NULL if there is no such mapping. The user's definition goes before the
// shipped one. Read with the owner's rights.
char* MappingRules(Oid schema, const char* mapping);

// Raises 42704: there is no such mapping; the detail has those there are.
[[noreturn]] void RaiseNoMapping(Oid schema, const char* mapping);

// Raises a rule's problem as an error (22023) naming the mapping, the key, and the table it does not fit, if
// any.
[[noreturn]] void RaiseBadRule(const char* mapping, Relation rel, const wall::Problem* problem);

// The mapping of a child: what its transform trigger says. NULL if it has none. `args` and `nargs`, if
// wanted, are the trigger's arguments after the mapping's name; a pool's child has none.
char* MappingOfChild(Oid schema, Relation rel, char*** args, int* nargs);
