// What the functions that move rows have in common.
#pragma once

#include "pg/move/move_batch.h"

// Refuses read-only transactions (25006) and snapshots older than the statement (0A000).
void CheckMoveAllowed(const char* function);
