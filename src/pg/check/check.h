// What vm_check asks of a child.
#pragma once

#include "pg/server/compat.h"

enum class Severity { Error, Warning, Info };

struct Check {
    static constexpr int kSamples = 5;

    char* name;
    Severity severity;
    char* hint;
    char* condition;  // on a row of the child, as it was defined, or NULL
    char* sql;        // the same as it is run
    bool optional;    // left out where the child lacks a column
    char* query;      // or: SELECT ids text[], n bigint FROM …; NULL: no row can be dirty
    char* probe;    // asked before it: the same from indexes alone, which may count too many rows, but never
                    // too few
    bool as_owner;  // the query is the extension's own, on its tables
    bool stored;    // somebody's condition is in it

    int64 rows;
    int nids;
    Datum id[kSamples];
    char* problem;  // why it could not be asked
};

// Notes that a check could not be asked. An error of a condition that looks like a name gets a word on names.
void NoteProblem(Check* check, const ErrorData* error);

// The word's first letter is enough: the tables hold no other words.
Severity SeverityOf(const char* word);

// Refuses a word that is no severity (22023); `what` says whose it is.
void CheckSeverity(const char* what, const char* severity);

// Checks of the parent's unique indexes: keys that stand twice in the child, or in child and parent. Appended
// to `checks`.
List* AppendKeyChecks(List* checks, Relation child, Oid parent);

// Checks of the references in vm_reference that the parent's entity has or is meant by. Appended to `checks`.
// Conditions are analysed here: call it where they may do no harm.
List* AppendReferenceChecks(List* checks, Oid schema, Relation child, Oid parent, Oid role);
