// Whether a feed is quiet: what it has written since a snapshot, and waiting until that is nothing.
#pragma once

#include "pg/server/compat.h"

extern "C" {
#include <utils/snapshot.h>
}

// A child whose feed is watched. The caller holds AccessShareLock on it or more. Texts in the caller's
// context.
struct FedChild {
    Relation rel;
    char* name;  // qualified
};

// What a feed has written: a row of a child, or one of vm_quarantine or vm_anomaly about it.
struct FeedTrace {
    bool found;
    bool open;    // by a transaction that has not ended
    char* table;  // qualified
    char* id;     // its _id for people, or NULL
};

// Looks for a row version that the snapshot does not see, of whatever transaction but this one that has not
// been rolled back. Exact if nobody can write to the child meanwhile; else what comes while it looks may be
// missed. A row that is deleted leaves no trace. The snapshot must be registered.
FeedTrace FindTrace(Oid schema, const FedChild* children, int count, Snapshot since);

// A heap, which is what row versions can be looked for in. Else an error (0A000).
void RequireHeap(Relation rel);

struct DrainSettings {
    int64 quiet;                // microseconds without a trace; 0: does not wait
    const char* last_document;  // an _id that must stand in one of the children with its document, or NULL
    TimestampTz deadline;
};

// Returns once the feed of all children has been quiet for as long as that and the document is there. Error
// (55000): that did not come about before the deadline; the detail says what was seen last.
void WaitForQuiet(Oid schema, const FedChild* children, int count, const DrainSettings* settings);

// Sleeps, and is woken by interrupts, which it processes: an error if the statement is cancelled.
void SleepFor(int64 microseconds);
