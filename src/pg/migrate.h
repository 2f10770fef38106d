// CALL vm_migrate: many projects, step by step as vm_next says, by movers in the background.
#pragma once

#include "pg/compat.h"

// A run as its movers read it from vm_migrate_run. Texts in the current context.
struct MigrateRun {
    int64 run_id;
    char* source_checked;  // what is recorded of the source check, or NULL: it stops there
    char* feed_started;    // the same of the feed's start
    char* feed_stopped;    // and of its end
    char* quiet_seconds;   // numeric, for vm_switch
    bool finish;
    bool whole;
    char* role;         // whose rights it has; NULL: those of the session's user
    char* search_path;  // of the caller
};

// How a project came out of a run.
struct MigrateEnd {
    const char* state;  // done, stopped or failed
    char* step;         // the step it is at, or NULL
    char* why;          // or NULL
};

// Takes a project through all the steps it can do now. Outside a transaction; leaves none open. What a step
// raises is the end's `why`.
MigrateEnd MigrateProject(Oid schema, const MigrateRun* run, const char* tenant, const char* project);
