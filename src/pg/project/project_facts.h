// What can be known of an entity of a project besides the steps on record.
#pragma once

#include "pg/project/step.h"

// As vm_status has it.
struct EntityFacts {
    int64 anomalies;      // open; of a pool's child since prepare
    int64 quarantined;    // the same
    char* failed_checks;  // what the latest check found, if it did not pass; or NULL
    TimestampTz feed_at;  // when the feed last wrote, or 0
};
EntityFacts FactsOf(const ProjectKey* key, const ProjectEntity* entity);

// "4 anomalies and 2 quarantined documents"; NULL if there are none.
char* OpenCasesOf(const EntityFacts* facts);

enum class Known { No, Yes, Unknown };

// Whether the child itself has a row for which the condition is true; see RoleOfConditions. Unknown: the
// caller may not read it, or the condition cannot be asked.
Known ChildHas(const ProjectEntity* entity, const char* condition);

// Whether the child is there: it may have been dropped by hand. Waits for who is about to drop it; for a
// caller who may read it, it stays until the transaction's end.
bool HasChild(const ProjectEntity* entity);
// The same without waiting: it may be gone the next moment.
bool IsNamed(const ProjectEntity* entity);

// Whether a feed has written to the child, that the feed's start need not be on record. No, if it has to
// begin anew.
Known FeedIsSeen(const ProjectKey* key, const ProjectEntity* entity);
