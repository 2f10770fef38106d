// Moves of a child that belongs to a project: whether its rows' turn has come, and the step that is done
// then.
#pragma once

#include "pg/move/move_batch.h"

// Refuses (55000) to move rows before the switch, unless they are closed ones or the entity moves first.
void CheckMovesTurn(const MoveTarget* target);

// Nothing is left to move: the step move, or move_closed, is recorded with what was moved.
void RecordMoveDone(const MoveTarget* target, const MoveCounts* counts);
