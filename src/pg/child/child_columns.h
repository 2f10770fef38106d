// The columns that a child shares with its parent. Of an ordinary parent it inherits them; the child of a
// partitioned one stands alone, and nothing tells it when the parent gets another.
#pragma once

#include "pg/server/compat.h"

// The statements that make the child's columns fit the parent's again, a line each, for a hint; NULL if they
// do fit. The last has the rows that are there made anew.
char* ColumnStatements(Relation parent, Relation child);

// Error (55000), with these statements, if they do not fit: what documents have for such a column would be
// lost.
void RequireColumns(Oid parent, Relation child);
