// Advisory locks of movers. They are of a class of their own, which SQL's advisory lock functions do not
// reach.
#pragma once

#include "pg/server/compat.h"

extern "C" {
#include <storage/lock.h>
}

enum class MoveLockOn {
    Run = 30,      // a running CALL vm_move, by its number: gone when its session is
    Chunk = 31,    // a chunk of a child that a mover works on
    Place = 32,    // the right to write where a child's next move begins
    Whole = 33,    // the one vm_move_whole of a database that waits for snapshots
    Migrate = 34,  // a running CALL vm_migrate, by its number
    Project = 35,  // a project that a CALL vm_migrate has taken, by a hash of its names
    Finish = 36,   // shared by every vm_finish at work
    Turn = 37,     // shared by every batch of a child; alone has it who takes the right to move its rows back
};

// Takes the lock on (first, second) without waiting; false if another session has it. `session`: held until
// UnlockMove or the session's end, over commits and errors; else until the transaction's end.
bool TryLockMove(MoveLockOn what, uint32 first, uint32 second, bool session);
void UnlockMove(MoveLockOn what, uint32 first, uint32 second);
// Whether nobody has it. Within a transaction.
bool MoveLockIsFree(MoveLockOn what, uint32 first, uint32 second);

// Waits for the lock on (first, 0), and holds it until the transaction's end: against all others, or shared.
void LockMove(MoveLockOn what, uint32 first, bool shared);

// Takes a lock that others share, until UnshareMove or the transaction's end; and who else shares it, up to
// one that is not valid, in the current context.
void ShareMove(MoveLockOn what);
void UnshareMove(MoveLockOn what);
VirtualTransactionId* MoveSharers(MoveLockOn what);
