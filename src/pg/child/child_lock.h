// Locks on tables that an application uses all the time: nothing queues behind them for long.
#pragma once

#include "pg/server/compat.h"

// How long each lock is waited for, until the level of settings that the caller has begun ends.
void LimitLockWait(int milliseconds);

// Calls f(arg) in a subtransaction, with so long to wait for each lock it takes. False if that was too short:
// what f did is undone then.
bool WithinTimeout(void (*f)(void*), void* arg, int64 timeout_us);

// The same with 200 ms, some tries, and pauses between them in which no lock is held. `what` is the table or
// the tables, for the error (55P03).
void Gently(void (*f)(void*), void* arg, const char* what);

// To be called in f before its locks: sends autovacuum away from a table and from those its foreign keys
// refer to, which takes deadlock_timeout. Conflicts with no reader and no writer.
void MakeWay(Oid table);

// What looks at others' rows under a lock must see them as they are now. Error: a snapshot of the
// transaction's (0A000).
void RequireReadCommitted(const char* function);

// The hint of those that run only at READ COMMITTED: a CALL that commits cannot go into a block.
int ReadCommittedHint(void);

// Error: the table is not the caller's (42501).
void RequireOwner(Relation rel);
