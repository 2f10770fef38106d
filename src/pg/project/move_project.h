// Moves of a child that belongs to a project: whether its rows' turn has come, and the step that is done
// then.
#pragma once

#include "pg/move/move_batch.h"

// Refuses (55000) to move rows before the switch, unless they are closed ones or the entity moves first. What
// it finds holds until the transaction's end: who switches back waits for that, and is waited for.
void CheckMovesTurn(const MoveTarget* target);

// OpenTarget for a batch whose turn was checked before, perhaps in another transaction: checks again if that
// may have changed. The same errors.
void OpenInTurn(MoveTarget** target);

// Takes that right from a child's batches, until the transaction's end. False: some are at work, and have not
// ended in timeout_us.
bool StopMoves(Oid child, int64 timeout_us);

// Nothing is left to move: the step move, or move_closed, is recorded with what was moved.
void RecordMoveDone(const MoveTarget* target, const MoveCounts* counts);
