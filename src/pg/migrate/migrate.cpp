// CALL vm_migrate: chooses the projects, starts movers, tells how they get on.
#include "pg/migrate/migrate.h"

#include "pg/server/caught.h"
#include "pg/migrate/migrate_mover.h"
#include "pg/migrate/migrate_run.h"
#include "pg/move/move_lock.h"
#include "pg/server/tables.h"

extern "C" {
#include <catalog/pg_authid.h>
#include <nodes/parsenodes.h>
#include <pgstat.h>
#include <storage/latch.h>
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_migrate);
}

static constexpr int kMostMovers = 64;

// A mover: `pid` 0 if it was over before that was known.
struct Mover {
    BackgroundWorkerHandle* handle;
    int32 pid;
};

// A CALL under way. In the procedure's SPI context, valid over commits.
struct Migration {
    MemoryContext step;  // emptied after each look
    Oid schema;
    int64 run_id;
    int wanted;
    int started;
    int alive;
    Mover movers[kMostMovers];
    bool quiet;
    TimestampTz began;
    TimestampTz told;
    int64 told_over;  // projects that nothing more was to be done with, then
    MigrateCounts counts;
};

static void CheckCallable(FunctionCallInfo fcinfo) {
    if (CalledAtomically(fcinfo))
        ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
                        errmsg("vm_migrate commits step by step and cannot run inside a transaction block"),
                        errhint("CALL it by itself, outside BEGIN and of functions.")));
    PreventCommandIfReadOnly("vm_migrate()");
}

// Movers connect as the session's user, whatever role is set.
static void CheckLogin(void) {
    HeapTuple tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetSessionUserId()));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for role %u", GetSessionUserId());
    bool may = ((Form_pg_authid)GETSTRUCT(tuple))->rolcanlogin;
    ReleaseSysCache(tuple);
    if (may) return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
                    errmsg("role \"%s\" may not log in, and movers would have to",
                           GetUserNameFromId(GetSessionUserId(), false)),
                    errhint("CALL vm_migrate in a session of a role that may, after SET ROLE if need be.")));
}

static int MoversArg(FunctionCallInfo fcinfo) {
    int movers = PG_GETARG_INT32(1);
    if (movers < 1 || movers > kMostMovers)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("movers must be between 1 and %d", kMostMovers)));
    return movers;
}

static void CheckQuietSeconds(FunctionCallInfo fcinfo) {
    double seconds = DatumGetFloat8(DirectFunctionCall1(numeric_float8, PG_GETARG_DATUM(6)));
    if (seconds >= 0 && seconds <= 86400) return;
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("quiet_seconds must be between 0 and 86400")));
}

static void StartMovers(void* arg) {
    Migration* migration = (Migration*)arg;
    int wanted = (int)Min((int64)migration->wanted, migration->counts.all);
    while (migration->started < wanted) {
        BackgroundWorkerHandle* handle = StartMover(migration->schema, migration->run_id);
        if (handle == NULL) break;
        migration->movers[migration->started++] = Mover{handle, 0};
    }
    if (migration->started < wanted && migration->started > 0)
        ereport(NOTICE, (errmsg("%d of %d movers could be started", migration->started, wanted),
                         errhint("Raise max_worker_processes for more.")));
    if (migration->started == 0)
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("no mover could be started"),
                 errdetail("All %d background workers of the server are in use.", max_worker_processes),
                 errhint("Raise max_worker_processes, or do the steps of vm_next yourself.")));
    for (int i = 0; i < migration->started; i++) {
        pid_t pid;
        if (WaitForBackgroundWorkerStartup(migration->movers[i].handle, &pid) == BGWH_STARTED)
            migration->movers[i].pid = pid;
    }
    migration->alive = migration->started;
}

// The processes of movers that are alive.
static int AliveMovers(const Migration* migration, int32* pids) {
    int alive = 0;
    for (int i = 0; i < migration->started; i++) {
        pid_t pid;
        if (GetBackgroundWorkerPid(migration->movers[i].handle, &pid) != BGWH_STOPPED)
            pids[alive++] = migration->movers[i].pid;
    }
    return alive;
}

static int64 OverOf(const MigrateCounts* counts) {
    return counts->done + counts->stopped + counts->failed;
}

// At most every two seconds, and not the same again for half a minute.
static void TellMigration(Migration* migration) {
    constexpr int64 kApart = 2 * USECS_PER_SEC, kNoNews = 30 * USECS_PER_SEC;
    TimestampTz now = GetCurrentTimestamp();
    if (migration->quiet || now - migration->told < kApart) return;
    migration->counts = CountProjects(migration->schema, migration->run_id);
    const MigrateCounts* counts = &migration->counts;
    int64 over = OverOf(counts);
    if (over == counts->all || (over == migration->told_over && now - migration->told < kNoNews)) return;
    migration->told = now;
    migration->told_over = over;
    double per_second = over * 1e6 / Max(now - migration->began, 1);
    char* pace = over == 0 ? pstrdup("")
                           : psprintf("; %.*f a minute, %s left", per_second < 1 ? 1 : 0, per_second * 60,
                                      PrettyDuration((counts->all - over) / per_second));
    char* rest = counts->stopped + counts->failed == 0
                     ? pstrdup("")
                     : psprintf(": " INT64_FORMAT " done, " INT64_FORMAT " stopped, " INT64_FORMAT " failed",
                                counts->done, counts->stopped, counts->failed);
    ereport(NOTICE, (errmsg(INT64_FORMAT " of " INT64_FORMAT " projects (%d %%)%s%s", over, counts->all,
                            (int)(100 * over / counts->all), rest, pace)));
}

// Waits a little, then sees who is still at work.
static void Look(void* arg) {
    constexpr long kPollMs = 200;
    Migration* migration = (Migration*)arg;
    (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMs, PG_WAIT_EXTENSION);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
    int32 pids[kMostMovers];
    int alive = AliveMovers(migration, pids);
    if (alive < migration->alive) FailLost(migration->schema, migration->run_id, pids, alive);
    migration->alive = alive;
    TellMigration(migration);
}

// Until the movers have ended. An error of the CALL itself, a cancel too, or NULL.
static ErrorData* Watch(Migration* migration) {
    ErrorData* error = RunCaughtAll(StartMovers, migration);
    SPI_commit();
    while (error == NULL && migration->alive > 0) {
        MemoryContext outer = MemoryContextSwitchTo(migration->step);
        error = RunCaughtAll(Look, migration);
        MemoryContextSwitchTo(outer);
        SPI_commit();
        if (error == NULL) MemoryContextReset(migration->step);
    }
    return error;
}

static void EndMovers(const Migration* migration) {
    for (int i = 0; i < migration->started; i++) TerminateBackgroundWorker(migration->movers[i].handle);
    for (int i = 0; i < migration->started; i++)
        (void)WaitForBackgroundWorkerShutdown(migration->movers[i].handle);
}

// The run's last words, committed. A second cancel must not leave the lock with the session.
static void Conclude(Migration* migration, const char* why) {
    uint32 high = (uint32)(migration->run_id >> 32), low = (uint32)migration->run_id;
    HOLD_INTERRUPTS();
    PG_TRY();
    {
        EndMovers(migration);
        migration->counts = CountProjects(migration->schema, migration->run_id);
        CloseRun(migration->schema, migration->run_id, why);
        SPI_commit();
    }
    PG_CATCH();
    {
        UnlockMove(MoveLockOn::Migrate, high, low);
        PG_RE_THROW();
    }
    PG_END_TRY();
    UnlockMove(MoveLockOn::Migrate, high, low);
    RESUME_INTERRUPTS();
}

static char* SeeRest(const Migration* migration) {
    return psprintf("SELECT tenant, project, state, step, why, hint FROM %s WHERE run_id = " INT64_FORMAT
                    " AND state <> 'done';",
                    ExtensionName(migration->schema, "vm_migrate_progress"), migration->run_id);
}

[[noreturn]] static void Fail(const Migration* migration, const ErrorData* error) {
    const MigrateCounts* counts = &migration->counts;
    ereport(ERROR, (errcode(error->sqlerrcode), errmsg("%s", error->message),
                    errdetail_plural(
                        "%s" INT64_FORMAT " of " INT64_FORMAT " project is done and stays so, " INT64_FORMAT
                        " had not begun. What the movers were at was undone; nothing is lost.",
                        "%s" INT64_FORMAT " of " INT64_FORMAT " projects are done and stay so, " INT64_FORMAT
                        " had not begun. What the movers were at was undone; nothing is lost.",
                        (unsigned long)counts->all, error->detail ? psprintf("%s ", error->detail) : "",
                        counts->done, counts->all, counts->waiting),
                    errhint("%sCALL vm_migrate again goes on from there.",
                            error->hint ? psprintf("%s ", error->hint) : "")));
}

static void TellEnd(const Migration* migration) {
    const MigrateCounts* counts = &migration->counts;
    if (counts->waiting == counts->all && counts->all > 0)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the movers ended before they had begun"),
                        errhint("The server's log says why. They connect as role \"%s\".",
                                GetUserNameFromId(GetSessionUserId(), false))));
    if (counts->waiting > 0)
        ereport(
            WARNING,
            (errmsg_plural(INT64_FORMAT " of " INT64_FORMAT " project was not begun: all movers have ended",
                           INT64_FORMAT " of " INT64_FORMAT " projects were not begun: all movers have ended",
                           (unsigned long)counts->all, counts->waiting, counts->all),
             errhint("The server's log says why. CALL vm_migrate again goes on from there.")));
    if (migration->quiet) return;
    if (counts->all == 0) {
        ereport(NOTICE, (errmsg("there is no project to migrate"),
                         errdetail("None that is not finished matches the filter.")));
        return;
    }
    int64 rest = counts->stopped + counts->failed;
    char* took = PrettyDuration((GetCurrentTimestamp() - migration->began) / 1e6);
    ereport(NOTICE, (errmsg_plural(INT64_FORMAT " of " INT64_FORMAT " project is done, in %s",
                                   INT64_FORMAT " of " INT64_FORMAT " projects are done, in %s",
                                   (unsigned long)counts->all, counts->done, counts->all, took),
                     rest ? errdetail(INT64_FORMAT " stopped: something has to be done first; " INT64_FORMAT
                                                   " failed.",
                                      counts->stopped, counts->failed)
                          : 0,
                     rest ? errhint("%s", SeeRest(migration)) : 0));
}

// What must be committed before the movers come.
static void Begin(Migration* migration, FunctionCallInfo fcinfo, const char* filter) {
    CloseLeftRuns(migration->schema);
    migration->run_id = NewRun(fcinfo, migration->schema);
    ChooseProjects(migration->schema, migration->run_id, filter);
    migration->counts = CountProjects(migration->schema, migration->run_id);
}

extern "C" {

// CALL vm_migrate(filter, movers, source_checked, feed_started, feed_stopped, finish, quiet_seconds, whole,
// quiet): see the install script. Errors: inside a transaction block (2D000), no mover can be started
// (53000), none could connect (55000), the session's user may not log in (28000). What goes wrong with a
// project is its row in vm_migrate_project.
Datum vm_migrate(PG_FUNCTION_ARGS) {
    CheckCallable(fcinfo);
    static const int kRequired[] = {1, 5, 6, 7, 8};
    for (int i : kRequired) RequireArgument(fcinfo, i);
    CheckQuietSeconds(fcinfo);
    CheckLogin();
    int wanted = MoversArg(fcinfo);
    char* filter = TextArgument(fcinfo, 0);
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Migration* migration = (Migration*)palloc0(sizeof(Migration));
    migration->schema = ExtensionSchema(fcinfo);
    migration->wanted = wanted;
    migration->quiet = PG_GETARG_BOOL(8);
    migration->began = migration->told = GetCurrentTimestamp();
    migration->step =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate migration", ALLOCSET_DEFAULT_SIZES);
    Begin(migration, fcinfo, filter);
    uint32 high = (uint32)(migration->run_id >> 32), low = (uint32)migration->run_id;
    ErrorData* volatile error = NULL;
    (void)TryLockMove(MoveLockOn::Migrate, high, low, true);
    PG_TRY();
    {
        SPI_commit();
        if (migration->counts.all > 0) error = Watch(migration);
    }
    PG_CATCH();
    {
        EndMovers(migration);
        UnlockMove(MoveLockOn::Migrate, high, low);
        PG_RE_THROW();
    }
    PG_END_TRY();
    Conclude(migration, error ? "the CALL was ended" : "all movers have ended");
    if (error != NULL) Fail(migration, error);
    TellEnd(migration);
    SPI_finish();
    PG_RETURN_VOID();
}
}
