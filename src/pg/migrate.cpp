// CALL vm_migrate: chooses the projects, starts movers, tells how they get on.
#include "pg/migrate.h"

#include "pg/migrate_mover.h"
#include "pg/move_lock.h"
#include "pg/tables.h"

extern "C" {
#include <nodes/parsenodes.h>
#include <pgstat.h>
#include <storage/latch.h>

PG_FUNCTION_INFO_V1(vm_migrate);
}

static constexpr int kMostMovers = 64;

// A CALL under way. In the procedure's SPI context, valid over commits.
struct Migration {
    MemoryContext step;  // emptied after each look
    Oid schema;
    int64 run_id;
    int movers;
    BackgroundWorkerHandle* handles[kMostMovers];
    bool quiet;
    TimestampTz began;
    TimestampTz told;
};

// How the projects of a run are getting on.
struct MigrateCounts {
    int64 all, done, stopped, failed, running, waiting;
};

static SqlArg RunArg(const Migration* migration) {
    return SqlArg{INT8OID, Int64GetDatum(migration->run_id), false};
}

static void CheckCallable(FunctionCallInfo fcinfo) {
    bool atomic = fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
                  castNode(CallContext, fcinfo->context)->atomic;
    if (atomic)
        ereport(ERROR, (errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
                        errmsg("vm_migrate commits step by step and cannot run inside a transaction block"),
                        errhint("CALL it by itself, outside BEGIN and of functions.")));
}

static int MoversArg(FunctionCallInfo fcinfo) {
    int movers = PG_GETARG_INT32(1);
    if (movers < 1 || movers > kMostMovers)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("movers must be between 1 and %d", kMostMovers)));
    return movers;
}

static SqlArg TextArgAt(FunctionCallInfo fcinfo, int i) {
    return SqlArg{TEXTOID, fcinfo->args[i].isnull ? (Datum)0 : PG_GETARG_DATUM(i), fcinfo->args[i].isnull};
}

// The role that SET ROLE has given, or NULL.
static const char* RoleOrNull(void) {
    const char* role = GetConfigOption("role", false, false);
    return strcmp(role, "none") == 0 ? NULL : role;
}

static int64 NewRun(FunctionCallInfo fcinfo, Oid schema) {
    SqlArg args[] = {TextArgAt(fcinfo, 0),
                     {INT4OID, PG_GETARG_DATUM(1), false},
                     TextArgAt(fcinfo, 2),
                     TextArgAt(fcinfo, 3),
                     TextArgAt(fcinfo, 4),
                     {BOOLOID, PG_GETARG_DATUM(5), false},
                     {NUMERICOID, PG_GETARG_DATUM(6), false},
                     {BOOLOID, PG_GETARG_DATUM(7), false},
                     TextArg(RoleOrNull()),
                     TextArg(GetConfigOption("search_path", false, false)),
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    AsOwner owner = EnterAsOwner(schema);
    SqlResult row = RunSql(
        psprintf("INSERT INTO %s (filter, movers, source_checked, feed_started, feed_stopped, finish, "
                 "quiet_seconds, whole, role, search_path, started_by) VALUES ($1, $2, $3, $4, $5, $6, "
                 "$7, $8, $9, $10, $11) RETURNING run_id",
                 ExtensionName(schema, "vm_migrate_run")),
        args, lengthof(args), 1);
    LeaveAsOwner(owner);
    return DatumGetInt64(row.value[0]);
}

// Projects that are not finished and match the filter, which runs as the caller, with his search_path.
static void ChooseProjects(const Migration* migration, const char* filter) {
    AsOwner owner = EnterAsOwner(migration->schema);
    SqlResult open =
        RunSql(psprintf("SELECT coalesce(array_agg(tenant ORDER BY tenant, project), '{}'), "
                        "coalesce(array_agg(project ORDER BY tenant, project), '{}') FROM %s p WHERE EXISTS "
                        "(SELECT FROM %s a LEFT JOIN %s e ON e.entity = a.entity AND e.tenant = p.tenant AND "
                        "e.project = p.project WHERE e.finish_at IS NULL)",
                        ExtensionName(migration->schema, "vm_project"),
                        ExtensionName(migration->schema, "vm_parent"),
                        ExtensionName(migration->schema, "vm_project_entity")),
               NULL, 0, 2);
    LeaveAsOwner(owner);
    SqlArg all[] = {{TEXTARRAYOID, open.value[0], false}, {TEXTARRAYOID, open.value[1], false}};
    SqlResult chosen = RunSql(
        psprintf("SELECT pg_catalog.array_agg(tenant), pg_catalog.array_agg(project) FROM ROWS FROM "
                 "(pg_catalog.unnest($1), pg_catalog.unnest($2)) AS vm_project (tenant, project) WHERE %s\n",
                 filter ? filter : "true"),
        all, 2, 2);
    if (chosen.null[0]) return;
    SqlArg args[] = {
        RunArg(migration), {TEXTARRAYOID, chosen.value[0], false}, {TEXTARRAYOID, chosen.value[1], false}};
    owner = EnterAsOwner(migration->schema);
    RunSql(
        psprintf("INSERT INTO %s (run_id, number, tenant, project) SELECT $1, number, tenant, project FROM "
                 "ROWS FROM (unnest($2), unnest($3)) WITH ORDINALITY AS p (tenant, project, number)",
                 ExtensionName(migration->schema, "vm_migrate_project")),
        args, 3, 0);
    LeaveAsOwner(owner);
}

static MigrateCounts CountProjects(const Migration* migration) {
    SqlArg args[] = {RunArg(migration)};
    AsOwner owner = EnterAsOwner(migration->schema);
    SqlResult row =
        RunSql(psprintf("SELECT count(*), count(*) FILTER (WHERE state = 'done'), count(*) FILTER "
                        "(WHERE state = 'stopped'), count(*) FILTER (WHERE state = 'failed'), "
                        "count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state "
                        "= 'waiting') FROM %s WHERE run_id = $1",
                        ExtensionName(migration->schema, "vm_migrate_project")),
               args, 1, 6);
    LeaveAsOwner(owner);
    return MigrateCounts{DatumGetInt64(row.value[0]), DatumGetInt64(row.value[1]),
                         DatumGetInt64(row.value[2]), DatumGetInt64(row.value[3]),
                         DatumGetInt64(row.value[4]), DatumGetInt64(row.value[5])};
}

// What movers that have gone have left behind, and the run's end.
static void CloseRun(const Migration* migration) {
    SqlArg args[] = {RunArg(migration)};
    AsOwner owner = EnterAsOwner(migration->schema);
    RunSql(psprintf("UPDATE %s SET state = CASE state WHEN 'running' THEN 'failed' ELSE 'stopped' END, why = "
                    "CASE state WHEN 'running' THEN 'its mover was ended' ELSE 'not begun' END, ended_at = "
                    "clock_timestamp() WHERE run_id = $1 AND state IN ('running', 'waiting')",
                    ExtensionName(migration->schema, "vm_migrate_project")),
           args, 1, 0);
    RunSql(psprintf("UPDATE %s SET ended_at = clock_timestamp() WHERE run_id = $1",
                    ExtensionName(migration->schema, "vm_migrate_run")),
           args, 1, 0);
    LeaveAsOwner(owner);
}

static void StartMovers(Migration* migration, int64 projects) {
    int wanted = (int)Min((int64)migration->movers, projects);
    migration->movers = 0;
    while (migration->movers < wanted) {
        BackgroundWorkerHandle* handle = StartMover(migration->schema, migration->run_id);
        if (handle == NULL) break;
        migration->handles[migration->movers++] = handle;
    }
    if (migration->movers == wanted) return;
    if (migration->movers == 0)
        ereport(ERROR,
                (errcode(ERRCODE_INSUFFICIENT_RESOURCES), errmsg("no mover could be started"),
                 errdetail("All %d background workers of the server are in use.", max_worker_processes),
                 errhint("Raise max_worker_processes, or do the steps of vm_next yourself.")));
    ereport(NOTICE, (errmsg("%d of %d movers could be started", migration->movers, wanted),
                     errhint("Raise max_worker_processes for more.")));
}

static bool AnyMover(const Migration* migration) {
    pid_t pid;
    for (int i = 0; i < migration->movers; i++)
        if (GetBackgroundWorkerPid(migration->handles[i], &pid) != BGWH_STOPPED) return true;
    return false;
}

static void TellMigration(Migration* migration, const MigrateCounts* counts) {
    constexpr int64 kApart = 2 * USECS_PER_SEC;
    TimestampTz now = GetCurrentTimestamp();
    if (migration->quiet || now - migration->told < kApart) return;
    migration->told = now;
    int64 over = counts->done + counts->stopped + counts->failed;
    double per_second = over * 1e6 / Max(now - migration->began, 1);
    char* left = over > 0 && over < counts->all
                     ? psprintf(", %s left", PrettyDuration((counts->all - over) / per_second))
                     : pstrdup("");
    ereport(NOTICE,
            (errmsg(INT64_FORMAT " of " INT64_FORMAT " projects (%.0f %%), %.1f per minute%s; " INT64_FORMAT
                                 " stopped, " INT64_FORMAT " failed",
                    over, counts->all, 100.0 * over / counts->all, per_second * 60, left, counts->stopped,
                    counts->failed)));
}

static void TellEnd(const Migration* migration, const MigrateCounts* counts) {
    if (migration->quiet) return;
    bool rest = counts->stopped + counts->failed > 0;
    ereport(NOTICE,
            (errmsg(INT64_FORMAT " of " INT64_FORMAT " projects went all the way in %s", counts->done,
                    counts->all, PrettyDuration((GetCurrentTimestamp() - migration->began) / 1e6)),
             errdetail(INT64_FORMAT " stopped where something has to be done first, " INT64_FORMAT " failed.",
                       counts->stopped, counts->failed),
             rest ? errhint("SELECT tenant, project, step, why FROM %s WHERE run_id = " INT64_FORMAT
                            " AND state <> 'done';",
                            ExtensionName(migration->schema, "vm_migrate_project"), migration->run_id)
                  : 0));
}

static void Watch(Migration* migration) {
    constexpr long kPollMs = 200;
    for (;;) {
        MemoryContext outer = MemoryContextSwitchTo(migration->step);
        bool any = AnyMover(migration);
        MigrateCounts counts = CountProjects(migration);
        if (any) TellMigration(migration, &counts);
        MemoryContextSwitchTo(outer);
        MemoryContextReset(migration->step);
        SPI_commit();
        if (!any) return;
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, kPollMs, PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

static void EndMovers(const Migration* migration) {
    for (int i = 0; i < migration->movers; i++) TerminateBackgroundWorker(migration->handles[i]);
    for (int i = 0; i < migration->movers; i++) (void)WaitForBackgroundWorkerShutdown(migration->handles[i]);
}

extern "C" {

// CALL vm_migrate(filter, movers, source_checked, feed_started, feed_stopped, finish, quiet_seconds, whole,
// quiet): see the install script. Errors: inside a transaction block (2D000), no mover can be started
// (53000). What goes wrong with a project is its row in vm_migrate_project.
Datum vm_migrate(PG_FUNCTION_ARGS) {
    CheckCallable(fcinfo);
    static const int kRequired[] = {1, 5, 6, 7, 8};
    for (int i : kRequired) RequireArgument(fcinfo, i);
    Oid schema = ExtensionSchema(fcinfo);
    int movers = MoversArg(fcinfo);
    char* filter = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
    if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Migration* migration = (Migration*)palloc0(sizeof(Migration));
    migration->schema = schema;
    migration->movers = movers;
    migration->quiet = PG_GETARG_BOOL(8);
    migration->began = migration->told = GetCurrentTimestamp();
    migration->step =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate migration", ALLOCSET_DEFAULT_SIZES);
    migration->run_id = NewRun(fcinfo, schema);
    ChooseProjects(migration, filter);
    MigrateCounts counts = CountProjects(migration);
    uint32 high = (uint32)(migration->run_id >> 32), low = (uint32)migration->run_id;
    (void)TryLockMove(MoveLockOn::Migrate, high, low, true);
    PG_TRY();
    {
        SPI_commit();
        StartMovers(migration, counts.all);
        Watch(migration);
    }
    PG_CATCH();
    {
        EndMovers(migration);
        UnlockMove(MoveLockOn::Migrate, high, low);
        PG_RE_THROW();
    }
    PG_END_TRY();
    UnlockMove(MoveLockOn::Migrate, high, low);
    CloseRun(migration);
    counts = CountProjects(migration);
    SPI_commit();
    TellEnd(migration, &counts);
    SPI_finish();
    PG_RETURN_VOID();
}
}
