// When a feed last wrote to the child of a project.
#pragma once

#include "pg/server/compat.h"

// Writes the statement's beginning to vm_feed_seen, if the child belongs to a project. Often enough is once a
// second.
void NoteFeed(Oid schema, Oid child);

// Whether that second is over; *noted is when it was last written.
inline bool FeedIsNews(TimestampTz noted) {
    return GetCurrentStatementStartTimestamp() - noted >= USECS_PER_SEC;
}
