// vm_preflight: what stands in the way of a migration before it begins. All is read as the caller, but for
// the registry.
#pragma once

#include "pg/check/check.h"
#include "pg/server/compat.h"

// Something that was found. Texts in the context of the list.
struct Finding {
    Severity severity;
    char* topic;
    char* problem;
    char* statement;  // what mends it, or NULL
};

// A table under examination.
struct Preflight {
    Oid schema;  // of the extension
    Relation rel;
    Oid parent;
    char* name;      // schema.table, quoted
    Oid key;         // the index that says which rows are the same, or InvalidOid
    Datum own;       // text[]: the columns that tell tenant and project
    int64 children;  // that there are, or will be once every project is prepared
    List* findings;  // of Finding*
};

void Note(Preflight* flight, Severity severity, const char* topic, const char* problem,
          const char* statement);

// Runs a query with $1 oid of the table, $2 its name, $3 the extension's schema (quoted), $4 oid of the key's
// index, $5 text[] of own, $6 children; its rows are findings: severity, topic, problem, statement.
void AskFindings(Preflight* flight, const char* sql);

// Whether it can be a parent at all; nothing else is looked at if not.
bool FindUnfit(Preflight* flight);
void FindTable(Preflight* flight);     // keys, constraints, triggers, publications
void FindRegistry(Preflight* flight);  // mapping, closed, order of moves; fills own and children
void FindChildren(Preflight* flight);  // their triggers and columns
void FindRights(Preflight* flight);
void FindServer(Preflight* flight);
