#include "pg/move/move_lock.h"

static LOCKTAG TagOf(MoveLockOn what, uint32 first, uint32 second) {
    LOCKTAG tag;
    SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, first, second, (uint16)what);
    return tag;
}

bool TryLockMove(MoveLockOn what, uint32 first, uint32 second, bool session) {
    LOCKTAG tag = TagOf(what, first, second);
    return LockAcquire(&tag, ExclusiveLock, session, true) != LOCKACQUIRE_NOT_AVAIL;
}

void UnlockMove(MoveLockOn what, uint32 first, uint32 second) {
    LOCKTAG tag = TagOf(what, first, second);
    LockRelease(&tag, ExclusiveLock, true);
}

bool MoveLockIsFree(MoveLockOn what, uint32 first, uint32 second) {
    LOCKTAG tag = TagOf(what, first, second);
    // Shared: others who ask at the same moment are not taken for its holder.
    if (LockAcquire(&tag, ShareLock, false, true) == LOCKACQUIRE_NOT_AVAIL) return false;
    LockRelease(&tag, ShareLock, false);
    return true;
}

void LockMove(MoveLockOn what, uint32 first, bool shared) {
    LOCKTAG tag = TagOf(what, first, 0);
    (void)LockAcquire(&tag, shared ? ShareLock : ExclusiveLock, false, false);
}

void ShareMove(MoveLockOn what) {
    LockMove(what, 0, true);
}

void UnshareMove(MoveLockOn what) {
    LOCKTAG tag = TagOf(what, 0, 0);
    LockRelease(&tag, ShareLock, false);
}

VirtualTransactionId* MoveSharers(MoveLockOn what) {
    LOCKTAG tag = TagOf(what, 0, 0);
    int count;
    return GetLockConflicts(&tag, ExclusiveLock, &count);
}
