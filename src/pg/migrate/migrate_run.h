// The tables of CALL vm_migrate: vm_migrate_run, a row for each CALL, and vm_migrate_project, one for each of
// its projects. Written as the extension's owner. All of it within a transaction with a snapshot.
#pragma once

#include "pg/migrate/migrate.h"

// How the projects of a run are getting on.
struct MigrateCounts {
    int64 all, done, stopped, failed, running, waiting;
};

// Writes a new run, its arguments as vm_migrate was called with them.
int64 NewRun(FunctionCallInfo fcinfo, Oid schema);

// Gives the run its projects: those that are not finished and match the filter, which runs as the caller,
// with his search_path. Errors: those of the filter, in a context that names it.
void ChooseProjects(Oid schema, int64 run_id, const char* filter);

MigrateCounts CountProjects(Oid schema, int64 run_id);

// Projects whose movers are gone, that is none of `alive`, have failed.
void FailLost(Oid schema, int64 run_id, const int32* alive, int nalive);

// Ends what is waiting or running in a run, and the run.
void CloseRun(Oid schema, int64 run_id, const char* why);

// The same of all runs whose callers are gone, with their servers perhaps.
void CloseLeftRuns(Oid schema);

// Whether the session that called has ended, or let go of the run.
bool CallerIsGone(int64 run_id);

MigrateRun ReadRun(Oid schema, int64 run_id);

// The next project, in the current context; false if there is none. It is locked until LeaveTask, or the end
// of the session. One that another run has at hand is passed over, and says so.
bool TakeTask(const MigrateRun* run, MigrateTask* task);
void LeaveTask(const MigrateTask* task);

// Where it is, as it goes; why: of a step that is tried again.
void NoteStep(const MigrateRun* run, const MigrateTask* task, const char* step, const char* entity,
              const char* why);
// Puts it behind the others, if one that has never been put there is at work or waits; else it has ended.
void Postpone(const MigrateRun* run, const MigrateTask* task, const MigrateEnd* end);
void NoteEnd(const MigrateRun* run, const MigrateTask* task, const MigrateEnd* end);
