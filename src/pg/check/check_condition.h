// Conditions of checks: SQL that one role stores and another runs.
#pragma once

#include "pg/server/compat.h"

// The rows a condition is about, for FROM: all columns of `rel` under the name child. `watermark` is SQL over
// vm_c, or NULL for none. With `stand_in` the columns are added that a child would have and its parent has
// not.
char* ConditionSource(Relation rel, const char* watermark, bool stand_in);

// Turns a condition into SQL with the value true or false, and has the server analyse it; nothing is run.
// Returns NULL, or the error: no single expression (42601), not boolean, unknown names, ….
ErrorData* TryCondition(Oid schema, const char* condition, Relation rel, const char* source, char** sql);

// The same without a table: only that it is one expression.
ErrorData* TrySyntax(const char* condition);
