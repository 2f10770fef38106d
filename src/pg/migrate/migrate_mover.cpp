// A mover of CALL vm_migrate: a background worker that takes one project after the other.
#include "pg/migrate/migrate_mover.h"

#include "pg/migrate/migrate_run.h"

extern "C" {
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
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

// Around the steps: what cancels a step has nothing to end here.
static void Begin(void) {
    HOLD_CANCEL_INTERRUPTS();
    SetCurrentStatementStartTimestamp();
    StartTransactionCommand();
    PushActiveSnapshot(GetTransactionSnapshot());
}

static void End(void) {
    PopActiveSnapshot();
    CommitTransactionCommand();
    RESUME_CANCEL_INTERRUPTS();
    QueryCancelPending = false;
}

static void Set(const Datum* settings, int count, GucContext context) {
    for (int i = 0; i < count; i++) {
        char* name = TextDatumGetCString(settings[i]);
        char* value = strchr(name, '=');
        *value++ = '\0';
        SetConfigOption(name, value, context, PGC_S_SESSION);
    }
}

// What the caller has set in his session: with a right where it took one, for he had it.
static void TakeOver(const MigrateRun* run) {
    Set(run->settings, run->nsettings, PGC_USERSET);
    Set(run->privileged_settings, run->nprivileged, PGC_SUSET);
    // The steps look at what others have done meanwhile.
    SetConfigOption("default_transaction_isolation", "read committed", PGC_USERSET, PGC_S_SESSION);
    if (run->role != NULL) SetConfigOption("role", run->role, PGC_SUSET, PGC_S_OVERRIDE);
}

// The run, in the current context; the session is as the caller's from then on.
static MigrateRun Enter(const MoverArgs* args) {
    MemoryContext context = CurrentMemoryContext;
    Begin();
    MemoryContextSwitchTo(context);
    MigrateRun run = ReadRun(args->schema, args->run_id);
    TakeOver(&run);
    End();
    MemoryContextSwitchTo(context);
    return run;
}

// The next project, in the current context; false if there is none, or the caller is gone.
static bool Take(const MigrateRun* run, MigrateTask* task) {
    MemoryContext context = CurrentMemoryContext;
    Begin();
    MemoryContextSwitchTo(context);
    bool taken = false;
    if (CallerIsGone(run->run_id))
        CloseRun(run->schema, run->run_id, "the session that called vm_migrate is gone");
    else
        taken = TakeTask(run, task);
    End();
    MemoryContextSwitchTo(context);
    return taken;
}

static void Put(const MigrateRun* run, const MigrateTask* task, const MigrateEnd* end) {
    MemoryContext context = CurrentMemoryContext;
    Begin();
    if (end->postponed)
        Postpone(run, task, end);
    else
        NoteEnd(run, task, end);
    End();
    LeaveTask(task);
    MemoryContextSwitchTo(context);
}

extern "C" {

// Background worker; its arguments are a MoverArgs in bgw_extra.
void vm_migrate_mover(Datum) {
    MoverArgs args;
    memcpy(&args, MyBgworkerEntry->bgw_extra, sizeof(args));
    pqsignal(SIGTERM, die);
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnectionByOid(args.database, args.user, 0);
    pgstat_report_appname("voucher_migrate mover");

    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "voucher_migrate mover", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(context);
    MigrateRun run = Enter(&args);
    MemoryContext each = AllocSetContextCreate(context, "voucher_migrate project", ALLOCSET_DEFAULT_SIZES);
    MemoryContextSwitchTo(each);
    for (MigrateTask task; Take(&run, &task);) {
        MigrateEnd end = MigrateProject(&run, &task);
        Put(&run, &task, &end);
        pgstat_report_activity(STATE_IDLE, NULL);
        MemoryContextReset(each);
    }
    proc_exit(0);
}
}
