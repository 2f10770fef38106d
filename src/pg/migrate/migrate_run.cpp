#include "pg/migrate/migrate_run.h"

#include "pg/move/move_lock.h"
#include "pg/server/tables.h"

extern "C" {
#include <common/hashfn.h>
#include <parser/parser.h>
}

static SqlArg RunArg(int64 run_id) {
    return SqlArg{INT8OID, Int64GetDatum(run_id), false};
}

static SqlArg TextArgAt(FunctionCallInfo fcinfo, int i) {
    return SqlArg{TEXTOID, fcinfo->args[i].isnull ? (Datum)0 : PG_GETARG_DATUM(i), fcinfo->args[i].isnull};
}

// The role that SET ROLE has given, or NULL.
static const char* RoleOrNull(void) {
    const char* role = GetConfigOption("role", false, false);
    return strcmp(role, "none") == 0 ? NULL : role;
}

// Of the session's settings those that its movers need too: not what concerns the client alone.
static bool IsTakenOver(const struct config_generic* setting) {
    static const char* const kOwn[] = {"application_name",      "client_encoding",
                                       "client_min_messages",   "transaction_isolation",
                                       "transaction_read_only", "transaction_deferrable"};
    if (setting->source != PGC_S_CLIENT && setting->source != PGC_S_SESSION) return false;
    if (setting->context != PGC_USERSET && setting->context != PGC_SUSET) return false;
    // Such as role; a name with a dot that no library has claimed is hidden as well.
    if ((setting->flags & GUC_NO_SHOW_ALL) && !(setting->flags & GUC_CUSTOM_PLACEHOLDER)) return false;
    for (const char* own : kOwn)
        if (strcmp(setting->name, own) == 0) return false;
    return true;
}

// Whether it took a right to set it. A name that no library has claimed anybody may set; one that does
// later on may have it set by superusers only, and has to know then who it was.
static bool TookRight(const struct config_generic* setting) {
    bool superuser = setting->scontext == PGC_SUSET || setting->scontext == PGC_SU_BACKEND;
    return setting->context == PGC_SUSET || ((setting->flags & GUC_CUSTOM_PLACEHOLDER) && superuser);
}

// What SET and the client have set in this session, name=value: that which took a right, or that which did
// not. Not within a safe path, which is such a setting.
static SqlArg SessionSettings(bool took_right) {
    int n;
    struct config_generic** all = ConfigVariables(&n);
    Datum* texts = (Datum*)palloc(sizeof(Datum) * n);
    int count = 0;
    for (int i = 0; i < n; i++)
        if (IsTakenOver(all[i]) && TookRight(all[i]) == took_right)
            texts[count++] = CStringGetTextDatum(
                psprintf("%s=%s", all[i]->name, GetConfigOption(all[i]->name, false, false)));
    ArrayType* array = construct_array(texts, count, TEXTOID, -1, false, TYPALIGN_INT);
    return SqlArg{TEXTARRAYOID, PointerGetDatum(array), false};
}

int64 NewRun(FunctionCallInfo fcinfo, Oid schema) {
    SqlArg args[] = {TextArgAt(fcinfo, 0),
                     {INT4OID, PG_GETARG_DATUM(1), false},
                     TextArgAt(fcinfo, 2),
                     TextArgAt(fcinfo, 3),
                     TextArgAt(fcinfo, 4),
                     {BOOLOID, PG_GETARG_DATUM(5), false},
                     {NUMERICOID, PG_GETARG_DATUM(6), false},
                     {BOOLOID, PG_GETARG_DATUM(7), false},
                     TextArg(RoleOrNull()),
                     SessionSettings(false),
                     SessionSettings(true),
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    SqlResult row = RunAsOwner(
        schema,
        psprintf("INSERT INTO %s (filter, movers, source_checked, feed_started, feed_stopped, finish, "
                 "quiet_seconds, whole, role, settings, privileged_settings, started_by) VALUES ($1, "
                 "$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING run_id",
                 ExtensionName(schema, "vm_migrate_run")),
        args, lengthof(args), 1);
    return DatumGetInt64(row.value[0]);
}

// Positions are those in a statement around it, which nobody has written.
static void TellFilter(void* filter) {
    errposition(0);
    internalerrposition(0);
    internalerrquery(NULL);
    errcontext("filter of vm_migrate: %s", (const char*)filter);
}

// The projects that the filter lets through: value[0] their tenants, value[1] their names; NULL if there are
// none. It is one condition, not several statements.
static SqlResult Filtered(SqlArg tenants, SqlArg projects, const char* filter) {
    SqlArg all[] = {tenants, projects};
    ErrorContextCallback callback = {error_context_stack, TellFilter, (void*)filter};
    if (filter != NULL) {
        error_context_stack = &callback;
        (void)raw_parser(filter, RAW_PARSE_PLPGSQL_EXPR);
    }
    SqlResult chosen =
        RunSql(psprintf("SELECT pg_catalog.array_agg(tenant), pg_catalog.array_agg(project) FROM (SELECT "
                        "tenant, project FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS "
                        "vm_project (tenant, project) WHERE (%s\n)) AS chosen",
                        filter ? filter : "true"),
               all, 2, 2);
    error_context_stack = callback.previous;
    return chosen;
}

void ChooseProjects(Oid schema, int64 run_id, const char* filter) {
    SqlResult open = RunAsOwner(
        schema,
        psprintf("SELECT coalesce(array_agg(tenant), '{}'), coalesce(array_agg(project), '{}') FROM "
                 "(SELECT tenant, project FROM %s CROSS JOIN %s EXCEPT SELECT e.tenant, e.project FROM "
                 "%s e JOIN %s USING (entity) WHERE e.finish_at IS NOT NULL GROUP BY e.tenant, e.project "
                 "HAVING count(*) = "
                 "(SELECT count(*) FROM %s)) AS p",
                 ExtensionName(schema, "vm_project"), ExtensionName(schema, "vm_parent"),
                 ExtensionName(schema, "vm_project_entity"), ExtensionName(schema, "vm_parent"),
                 ExtensionName(schema, "vm_parent")),
        NULL, 0, 2);
    SqlResult chosen = Filtered(SqlArg{TEXTARRAYOID, open.value[0], false},
                                SqlArg{TEXTARRAYOID, open.value[1], false}, filter);
    if (chosen.null[0]) return;
    SqlArg args[] = {
        RunArg(run_id), {TEXTARRAYOID, chosen.value[0], false}, {TEXTARRAYOID, chosen.value[1], false}};
    RunAsOwner(
        schema,
        psprintf("INSERT INTO %s (run_id, number, tenant, project) SELECT $1, row_number() OVER (ORDER BY "
                 "tenant, project), tenant, project FROM ROWS FROM (unnest($2), unnest($3)) AS p (tenant, "
                 "project)",
                 ExtensionName(schema, "vm_migrate_project")),
        args, 3, 0);
}

MigrateCounts CountProjects(Oid schema, int64 run_id) {
    SqlArg args[] = {RunArg(run_id)};
    SqlResult row =
        RunAsOwner(schema,
                   psprintf("SELECT count(*), count(*) FILTER (WHERE state = 'done'), count(*) FILTER "
                            "(WHERE state = 'stopped'), count(*) FILTER (WHERE state = 'failed'), "
                            "count(*) FILTER (WHERE state = 'running'), count(*) FILTER (WHERE state "
                            "= 'waiting') FROM %s WHERE run_id = $1",
                            ExtensionName(schema, "vm_migrate_project")),
                   args, 1, 6);
    return MigrateCounts{DatumGetInt64(row.value[0]), DatumGetInt64(row.value[1]),
                         DatumGetInt64(row.value[2]), DatumGetInt64(row.value[3]),
                         DatumGetInt64(row.value[4]), DatumGetInt64(row.value[5])};
}

void FailLost(Oid schema, int64 run_id, const int32* alive, int nalive) {
    Datum* pids = (Datum*)palloc(sizeof(Datum) * (nalive + 1));
    for (int i = 0; i < nalive; i++) pids[i] = Int32GetDatum(alive[i]);
    ArrayType* array = construct_array(pids, nalive, INT4OID, sizeof(int32), true, TYPALIGN_INT);
    SqlArg args[] = {RunArg(run_id), {INT4ARRAYOID, PointerGetDatum(array), false}};
    RunAsOwner(
        schema,
        psprintf("UPDATE %s SET state = 'failed', why = 'its mover was ended', hint = 'The server''s log "
                 "may say why. CALL vm_migrate again.', "
                 "ended_at = clock_timestamp() WHERE run_id = $1 AND state = 'running' AND mover_pid <> ALL "
                 "($2)",
                 ExtensionName(schema, "vm_migrate_project")),
        args, 2, 0);
}

void CloseRun(Oid schema, int64 run_id, const char* why) {
    SqlArg args[] = {RunArg(run_id), TextArg(why)};
    AsOwner owner = EnterAsOwner(schema);
    RunSql(
        psprintf("UPDATE %s SET why = CASE state WHEN 'waiting' THEN 'not begun: ' ELSE '' END || $2, state "
                 "= 'stopped', hint = 'CALL vm_migrate again.', ended_at = clock_timestamp() WHERE run_id = "
                 "$1 AND state IN ('running', 'waiting')",
                 ExtensionName(schema, "vm_migrate_project")),
        args, 2, 0);
    RunSql(psprintf("UPDATE %s SET ended_at = clock_timestamp() WHERE run_id = $1 AND ended_at IS NULL",
                    ExtensionName(schema, "vm_migrate_run")),
           args, 1, 0);
    LeaveAsOwner(owner);
}

void CloseLeftRuns(Oid schema) {
    for (int64 after = 0;;) {
        SqlArg args[] = {RunArg(after)};
        SqlResult row = RunAsOwner(
            schema,
            psprintf("SELECT run_id FROM %s WHERE ended_at IS NULL AND run_id > $1 ORDER BY run_id LIMIT 1",
                     ExtensionName(schema, "vm_migrate_run")),
            args, 1, 1);
        if (!row.found) return;
        after = DatumGetInt64(row.value[0]);
        if (CallerIsGone(after)) CloseRun(schema, after, "the session that called vm_migrate is gone");
    }
}

bool CallerIsGone(int64 run_id) {
    return MoveLockIsFree(MoveLockOn::Migrate, (uint32)(run_id >> 32), (uint32)run_id);
}

MigrateRun ReadRun(Oid schema, int64 run_id) {
    SqlArg args[] = {RunArg(run_id)};
    SqlResult row =
        RunAsOwner(schema,
                   psprintf("SELECT source_checked, feed_started, feed_stopped, quiet_seconds::text, role, "
                            "settings, privileged_settings, finish, whole FROM %s WHERE run_id = $1",
                            ExtensionName(schema, "vm_migrate_run")),
                   args, 1, 9);
    if (!row.found) elog(ERROR, "run " INT64_FORMAT " is not on record", run_id);
    MigrateRun run = {};
    run.schema = schema;
    run.run_id = run_id;
    run.source_checked = TextOrNull(&row, 0);
    run.feed_started = TextOrNull(&row, 1);
    run.feed_stopped = TextOrNull(&row, 2);
    run.quiet_seconds = TextOrNull(&row, 3);
    run.role = TextOrNull(&row, 4);
    deconstruct_array(DatumGetArrayTypeP(row.value[5]), TEXTOID, -1, false, TYPALIGN_INT, &run.settings, NULL,
                      &run.nsettings);
    deconstruct_array(DatumGetArrayTypeP(row.value[6]), TEXTOID, -1, false, TYPALIGN_INT,
                      &run.privileged_settings, NULL, &run.nprivileged);
    run.finish = DatumGetBool(row.value[7]);
    run.whole = DatumGetBool(row.value[8]);
    return run;
}

// Two projects of one hash would only wait for another CALL.
static uint64 HashOf(const char* tenant, const char* project) {
    uint64 hash = hash_bytes_extended((const unsigned char*)tenant, (int)strlen(tenant), 0);
    return hash_bytes_extended((const unsigned char*)project, (int)strlen(project), hash);
}

static bool LockTask(const MigrateTask* task) {
    uint64 hash = HashOf(task->tenant, task->project);
    return TryLockMove(MoveLockOn::Project, (uint32)(hash >> 32), (uint32)hash, true);
}

void LeaveTask(const MigrateTask* task) {
    uint64 hash = HashOf(task->tenant, task->project);
    UnlockMove(MoveLockOn::Project, (uint32)(hash >> 32), (uint32)hash);
}

bool TakeTask(const MigrateRun* run, MigrateTask* task) {
    SqlArg args[] = {RunArg(run->run_id), {INT4OID, Int32GetDatum(MyProcPid), false}};
    for (;;) {
        // By its number: a search for one that waits would go over all that do not. Another statement looks
        // it up: this one may have waited for a mover that has just given a project that number.
        SqlResult next =
            RunAsOwner(run->schema,
                       psprintf("UPDATE %s SET taken = taken + 1 WHERE run_id = $1 RETURNING taken",
                                ExtensionName(run->schema, "vm_migrate_run")),
                       args, 1, 1);
        if (!next.found) return false;
        SqlArg taking[] = {args[0], args[1], {INT4OID, next.value[0], false}};
        SqlResult row =
            RunAsOwner(run->schema,
                       psprintf("UPDATE %s SET state = 'running', mover_pid = $2, started_at = "
                                "clock_timestamp() WHERE run_id = $1 AND number = $3 AND state = 'waiting' "
                                "RETURNING number, tenant, project",
                                ExtensionName(run->schema, "vm_migrate_project")),
                       taking, 3, 3);
        if (!row.found) return false;
        *task = MigrateTask{DatumGetInt32(row.value[0]), TextOrNull(&row, 1), TextOrNull(&row, 2)};
        if (LockTask(task)) return true;
        MigrateEnd busy = {"stopped",
                           false,
                           NULL,
                           NULL,
                           "another CALL vm_migrate is at work on it",
                           "See "
                           "vm_migrate_progress."};
        NoteEnd(run, task, &busy);
    }
}

void NoteStep(const MigrateRun* run, const MigrateTask* task, const char* step, const char* entity,
              const char* why) {
    SqlArg args[] = {RunArg(run->run_id),
                     {INT4OID, Int32GetDatum(task->number), false},
                     TextArg(step),
                     TextArg(entity),
                     TextArg(why)};
    // What a crash takes back is only where it was.
    (void)set_config_option("synchronous_commit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_LOCAL, true,
                            0, false);
    AsOwner owner = EnterAsOwner(run->schema);
    RunSavedSql(
        psprintf("UPDATE %s SET step = $3, entity = $4, step_at = clock_timestamp(), why = coalesce($5, CASE "
                 "WHEN step = $3 THEN why END) WHERE run_id = $1 AND number = $2",
                 ExtensionName(run->schema, "vm_migrate_project")),
        args, lengthof(args), 0);
    LeaveAsOwner(owner);
}

void NoteEnd(const MigrateRun* run, const MigrateTask* task, const MigrateEnd* end) {
    SqlArg args[] = {RunArg(run->run_id),  {INT4OID, Int32GetDatum(task->number), false},
                     TextArg(end->state),  TextArg(end->step),
                     TextArg(end->entity), TextArg(end->why),
                     TextArg(end->hint)};
    RunAsOwner(run->schema,
               psprintf("UPDATE %s SET state = $3, step = $4, entity = $5, why = $6, hint = $7, ended_at = "
                        "clock_timestamp() WHERE run_id = $1 AND number = $2",
                        ExtensionName(run->schema, "vm_migrate_project")),
               args, lengthof(args), 0);
}

void Postpone(const MigrateRun* run, const MigrateTask* task, const MigrateEnd* end) {
    SqlArg args[] = {RunArg(run->run_id),
                     {INT4OID, Int32GetDatum(task->number), false},
                     TextArg(psprintf("postponed: %s", end->why)),
                     {INT4OID, (Datum)0, false}};
    char* table = ExtensionName(run->schema, "vm_migrate_project");
    AsOwner owner = EnterAsOwner(run->schema);
    // The lock keeps others from taking, and from the same number.
    args[3].value = RunSql(psprintf("SELECT taken FROM %s WHERE run_id = $1 FOR UPDATE",
                                    ExtensionName(run->schema, "vm_migrate_run")),
                           args, 1, 1)
                        .value[0];
    // Numbers above that of the projects are those of postponed ones, which would only wait for each other.
    bool behind =
        RunSql(psprintf("UPDATE %s SET state = 'waiting', why = $3, mover_pid = NULL, number = "
                        "greatest($4, (SELECT max(number) FROM %s WHERE run_id = $1)) + 1 WHERE "
                        "run_id = $1 AND number = $2 AND EXISTS (SELECT FROM %s WHERE run_id = $1 "
                        "AND number <> $2 AND number <= (SELECT count(*) FROM %s WHERE run_id = $1) "
                        "AND state IN ('running', 'waiting'))",
                        table, table, table, table),
               args, 4, 0)
            .rows > 0;
    LeaveAsOwner(owner);
    if (!behind) NoteEnd(run, task, end);
}
