// Taking a child away, or from its project, once nothing is left in it.
#pragma once

#include "pg/server/compat.h"

// No open transaction sees a row of the child any more. With `wait`, before the child is locked, some seconds
// are given to those that do. Errors: they go on (55006); dead rows fill so much of the child that looking
// through it under a lock would take long (55000).
void RequireForgotten(Oid schema, Relation child, bool wait);

// Drops the child, which the caller has locked and found empty. Error: other objects depend on it (2BP01).
void DropChild(Oid schema, Oid child);

// Deletes what is known of feed and moves of a child; what an audit reads stays.
void ForgetChild(Oid schema, Oid child);
