// Making a child from its parent.
#pragma once

#include "pg/compat.h"

// What can be a parent: an ordinary or a partitioned table that is no child itself. Errors: 42809, 0A000.
void CheckParent(Relation rel);
