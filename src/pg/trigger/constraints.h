// A child's own constraints, asked before the row is stored: in quarantine mode a row they refuse must not
// stop the feed. Foreign keys are not asked: they are checked when the statement ends, and not at all by
// feeds that run with session_replication_role = replica.
#pragma once

#include "pg/server/compat.h"

struct ChildConstraints;

// Reads a table's CHECK constraints and unique indexes (those without predicate or expression), in the
// current context. NULL if it has none. id_att: its _id column, or InvalidAttrNumber.
ChildConstraints* ReadConstraints(Relation rel, AttrNumber id_att);

// Raises 23514 or 23505 if the row breaks one. A row of the same _id is no conflict: it is the one that the
// feed replaces. `old` is the row it replaces, or NULL.
void CheckConstraints(ChildConstraints* constraints, Relation rel, HeapTuple row, HeapTuple old);
