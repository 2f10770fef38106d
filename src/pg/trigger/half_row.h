// A row whose document has not come yet: feeds write large documents in two steps, a row with a NULL _doc
// first.
#pragma once

#include "pg/server/columns.h"
#include "pg/server/compat.h"

// The row with something in every mapped column that may not be NULL, so that neither NOT NULL nor a unique
// key refuses it: the _id in texts, a hash of it in numbers, minus infinity in times. It belongs to no
// tenant, is never moved, and the document overwrites all of it. A type that knows no such value is left
// NULL.
HeapTuple HalfRow(const TableColumns* table, HeapTuple row, TupleDesc desc);
