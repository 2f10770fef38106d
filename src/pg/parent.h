// The table that an application uses, and that children are made for.
#pragma once

#include "pg/compat.h"

// Error: it is itself a child (42809), or nothing that rows can move to (0A000).
void CheckParent(Relation rel);
