// Where a child is meant and another table was given.
#pragma once

#include "pg/server/compat.h"

// Error (42809): the table is a parent. It names some of its children.
void RefuseParent(Oid schema, Oid table);

// Error (42809): the table has no transform trigger, most often because it is a parent.
[[noreturn]] void RaiseNoTrigger(Oid schema, Oid table);

// Errors (42809): the table is no child. One whose trigger was dropped or that inherits no more still is.
void RequireChild(Oid schema, Oid table);
