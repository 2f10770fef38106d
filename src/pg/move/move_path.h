// Which way rows take: in the tables themselves where that is legal, by SQL where not.
#pragma once

#include "pg/move/move_target.h"

// Fills locking, native_delete, native_insert and path, and checks the caller's rights as SQL would (42501).
void ChoosePath(MoveTarget* target);
