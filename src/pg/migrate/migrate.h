// CALL vm_migrate: many projects, step by step as vm_next says, by movers in the background.
#pragma once

#include "pg/server/compat.h"

// A run as its movers read it from vm_migrate_run. Texts in the current context.
struct MigrateRun {
    Oid schema;  // of the extension
    int64 run_id;
    char* source_checked;  // what is recorded of the source check, or NULL: it stops there
    char* feed_started;    // the same of the feed's start
    char* feed_stopped;    // and of its end
    char* quiet_seconds;   // numeric, for vm_switch
    bool finish;
    bool whole;
    char* role;       // whose rights it has; NULL: those of the session's user
    Datum* settings;  // texts, name=value: what the caller has set in his session
    int nsettings;
    Datum* privileged_settings;  // of what took a right to set
    int nprivileged;
};

// A project that a mover has taken.
struct MigrateTask {
    int32 number;  // in its run
    char* tenant;
    char* project;
};

// How a project came out of a run. Texts may be NULL, apart from the state.
struct MigrateEnd {
    const char* state;  // done, stopped or failed
    bool postponed;     // it may be worth another try when the others are through
    const char* step;   // the step it is at
    const char* entity;
    const char* why;
    const char* hint;
};

// Takes a project through all the steps it can do now. Outside a transaction; leaves none open. What a step
// raises is the end's `why`. It ends after the step at hand once the caller is gone.
MigrateEnd MigrateProject(const MigrateRun* run, const MigrateTask* task);
