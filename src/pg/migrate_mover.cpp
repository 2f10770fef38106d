// A mover of CALL vm_migrate: a background worker that takes one project after the other.
#include "pg/migrate.h"
#include "pg/migrate_mover.h"
#include "pg/move_lock.h"
#include "pg/tables.h"

extern "C" {
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <storage/ipc.h>
#include <tcop/tcopprot.h>
#include <utils/snapmgr.h>

PGDLLEXPORT void vm_migrate_mover(Datum main_arg);
}

// What a mover is told; the rest is in vm_migrate_run.
struct MoverArgs {
    Oid database;
    Oid user;
    Oid schema;
    int64 run_id;
};
static_assert(sizeof(MoverArgs) <= BGW_EXTRALEN, "fits a background worker");

BackgroundWorkerHandle* StartMover(Oid schema, int64 run_id) {
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_notify_pid = MyProcPid;
    snprintf(worker.bgw_library_name, sizeof(worker.bgw_library_name), "voucher_migrate");
    snprintf(worker.bgw_function_name, sizeof(worker.bgw_function_name), "vm_migrate_mover");
    snprintf(worker.bgw_name, BGW_MAXLEN, "voucher_migrate mover of run " INT64_FORMAT, run_id);
    snprintf(worker.bgw_type, BGW_MAXLEN, "voucher_migrate mover");
    MoverArgs args = {MyDatabaseId, GetSessionUserId(), schema, run_id};
    memcpy(worker.bgw_extra, &args, sizeof(args));
    BackgroundWorkerHandle* handle;
    return RegisterDynamicBackgroundWorker(&worker, &handle) ? handle : NULL;
}

static void Begin(void) {
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
}

static void End(void) {
    PopActiveSnapshot();
    CommitTransactionCommand();
}

static char* TextAt(const SqlResult* row, int i) {
    return row->null[i] ? NULL : TextDatumGetCString(row->value[i]);
}

static MigrateRun ReadRun(Oid schema, int64 run_id, MemoryContext context) {
    Begin();
    MemoryContext outer = MemoryContextSwitchTo(context);
    SqlArg args[] = {{INT8OID, Int64GetDatum(run_id), false}};
    AsOwner owner = EnterAsOwner(schema);
    SqlResult row = RunSql(
        psprintf("SELECT source_checked, feed_started, feed_stopped, quiet_seconds::text, finish, whole, "
                 "role, search_path FROM %s WHERE run_id = $1",
                 ExtensionName(schema, "vm_migrate_run")),
        args, 1, 8);
    LeaveAsOwner(owner);
    if (!row.found) elog(ERROR, "run " INT64_FORMAT " is not on record", run_id);
    MigrateRun run = {run_id,
                      TextAt(&row, 0),
                      TextAt(&row, 1),
                      TextAt(&row, 2),
                      TextAt(&row, 3),
                      DatumGetBool(row.value[4]),
                      DatumGetBool(row.value[5]),
                      TextAt(&row, 6),
                      TextAt(&row, 7)};
    MemoryContextSwitchTo(outer);
    End();
    return run;
}

// Rights and names as the caller has them.
static void BecomeCaller(const MigrateRun* run) {
    Begin();
    if (run->role != NULL) SetConfigOption("role", run->role, PGC_SUSET, PGC_S_OVERRIDE);
    SetConfigOption("search_path", run->search_path, PGC_USERSET, PGC_S_SESSION);
    End();
}

// The next project that nobody has taken, in the current context; false if there is none, or the caller has
// gone.
static bool TakeProject(Oid schema, int64 run_id, char** tenant, char** project) {
    MemoryContext context = CurrentMemoryContext;
    Begin();
    bool alone = TryLockMove(MoveLockOn::Migrate, (uint32)(run_id >> 32), (uint32)run_id, false);
    SqlResult row = {};
    if (!alone) {
        SqlArg args[] = {{INT8OID, Int64GetDatum(run_id), false}, {INT4OID, Int32GetDatum(MyProcPid), false}};
        AsOwner owner = EnterAsOwner(schema);
        char* table = ExtensionName(schema, "vm_migrate_project");
        row =
            RunSql(psprintf("UPDATE %s SET state = 'running', mover_pid = $2, started_at = clock_timestamp() "
                            "WHERE run_id = $1 AND number = (SELECT number FROM %s WHERE run_id = $1 AND "
                            "state = 'waiting' ORDER BY number LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING "
                            "tenant, project",
                            table, table),
                   args, 2, 2);
        LeaveAsOwner(owner);
    }
    if (row.found) {
        MemoryContext outer = MemoryContextSwitchTo(context);
        *tenant = TextDatumGetCString(row.value[0]);
        *project = TextDatumGetCString(row.value[1]);
        MemoryContextSwitchTo(outer);
    }
    End();
    return row.found;
}

static void PutProject(Oid schema, int64 run_id, const char* tenant, const char* project,
                       const MigrateEnd* end) {
    MemoryContext context = CurrentMemoryContext;
    Begin();
    SqlArg args[] = {{INT8OID, Int64GetDatum(run_id), false},
                     TextArg(tenant),
                     TextArg(project),
                     TextArg(end->state),
                     TextArg(end->step),
                     TextArg(end->why)};
    AsOwner owner = EnterAsOwner(schema);
    RunSql(
        psprintf("UPDATE %s SET state = $4, step = $5, why = $6, ended_at = clock_timestamp() WHERE run_id = "
                 "$1 AND tenant = $2 AND project = $3",
                 ExtensionName(schema, "vm_migrate_project")),
        args, lengthof(args), 0);
    LeaveAsOwner(owner);
    End();
    MemoryContextSwitchTo(context);
}

extern "C" {

// Background worker; its arguments are a MoverArgs in bgw_extra.
void vm_migrate_mover(Datum) {
    MoverArgs args;
    memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnectionByOid(args.database, args.user, 0);
    pgstat_report_appname("voucher_migrate mover");

    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "voucher_migrate mover", ALLOCSET_DEFAULT_SIZES);
    MigrateRun run = ReadRun(args.schema, args.run_id, context);
    BecomeCaller(&run);
    MemoryContext each = AllocSetContextCreate(context, "voucher_migrate project", ALLOCSET_DEFAULT_SIZES);
    for (;;) {
        MemoryContextSwitchTo(each);
        char *tenant, *project;
        if (!TakeProject(args.schema, args.run_id, &tenant, &project)) break;
        MemoryContextSwitchTo(each);
        pgstat_report_activity(STATE_RUNNING,
                               psprintf("vm_migrate: project %s of tenant %s", project, tenant));
        MigrateEnd end = MigrateProject(args.schema, &run, tenant, project);
        PutProject(args.schema, args.run_id, tenant, project, &end);
        pgstat_report_stat(false);
        pgstat_report_activity(STATE_IDLE, NULL);
        MemoryContextReset(each);
    }
    proc_exit(0);
}
}
