#include "pg/move/move_progress.h"

#include "pg/move/move_control.h"
#include "pg/server/tables.h"

static SqlArg Int8Arg(int64 value) {
    return SqlArg{INT8OID, Int64GetDatum(value), false};
}

void RecordBatch(const MoveTarget* target, int64 move_id, const MoveCounts* counts, TimestampTz began,
                 int64 waited_us, uint64 wal_bytes) {
    if (MovedOf(counts) + counts->busy + counts->quarantined == 0) return;
    SqlArg args[] = {{INT8OID, Int64GetDatum(move_id), move_id == 0},
                     OidArg(REGCLASSOID, target->child_oid),
                     Int8Arg(counts->inserted),
                     Int8Arg(counts->updated),
                     Int8Arg(counts->kept),
                     Int8Arg(counts->busy),
                     Int8Arg(counts->quarantined),
                     {FLOAT8OID, Float8GetDatum((GetCurrentTimestamp() - began) / 1000.0), false},
                     {FLOAT8OID, Float8GetDatum(waited_us / 1000.0), false},
                     Int8Arg((int64)wal_bytes)};
    RunAsOwner(
        target->schema,
        psprintf(
            "INSERT INTO %s (move_id, child, inserted, updated, kept, busy, quarantined, took_ms, waited_ms, "
            "wal_bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, round($8::numeric, 1), round($9::numeric, 1), "
            "$10)",
            ExtensionName(target->schema, "vm_move_batches")),
        args, lengthof(args), 0);
}

// What the planner expects, as the caller.
static int64 EstimatedRows(const MoveTarget* target) {
    SqlResult plan = RunWithFilter(
        target,
        psprintf("EXPLAIN (FORMAT json) SELECT FROM (SELECT _doc AS vm_doc FROM ONLY %s WHERE %s\n) "
                 "vm_a WHERE vm_a.vm_doc IS NOT NULL",
                 target->child_name, FilterOf(target)),
        NULL, 0);
    const char* rows = plan.found ? strstr(TextDatumGetCString(plan.value[0]), "\"Plan Rows\":") : NULL;
    return rows ? strtoll(strchr(rows, ':') + 1, NULL, 10) : 0;
}

void BeginProgress(const MoveTarget* target, MoveProgress* progress) {
    progress->estimated = EstimatedRows(target);
    progress->began = progress->told = GetCurrentTimestamp();
    SqlArg args[] = {OidArg(REGCLASSOID, target->child_oid),
                     OidArg(REGCLASSOID, target->parent_oid),
                     TextArg(target->options.filter),
                     TextArg(WordOf(target->options.on_conflict)),
                     TextArg(target->locking == Locking::Claim ? "claim" : "lock"),
                     TextArg(target->path),
                     Int8Arg(progress->estimated),
                     TextArg(GetUserNameFromId(GetUserId(), false)),
                     {TIMESTAMPTZOID, TimestampTzGetDatum(progress->began), false},
                     TextArg(target->child_name)};
    SqlResult row = RunAsOwner(
        target->schema,
        psprintf("INSERT INTO %s (child, parent, filter, on_conflict, locking, path, rows_estimated, "
                 "started_by, started_at, child_name) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
                 "RETURNING move_id",
                 ExtensionName(target->schema, "vm_move_run")),
        args, lengthof(args), 1);
    progress->move_id = DatumGetInt64(row.value[0]);
}

static int64 RowsDone(const MoveProgress* progress) {
    return MovedOf(&progress->counts) + progress->counts.quarantined;
}

void WriteProgress(const MoveTarget* target, MoveProgress* progress, const char* state, const char* error) {
    const MoveCounts* counts = &progress->counts;
    bool ended = strcmp(state, "running") != 0 && strcmp(state, "waiting") != 0;
    double rate = progress->rate;
    if (ended && progress->batches > 0)
        rate = RowsDone(progress) * 1e6 / Max(GetCurrentTimestamp() - progress->began, 1);
    bool waits = progress->waits_for[0] != '\0';
    memcpy(progress->on_record, progress->waits_for, sizeof(progress->on_record));
    SqlArg args[] = {Int8Arg(progress->move_id),
                     TextArg(state),
                     Int8Arg(counts->inserted),
                     Int8Arg(counts->updated),
                     Int8Arg(counts->kept),
                     Int8Arg(counts->busy),
                     Int8Arg(counts->quarantined),
                     Int8Arg(progress->batches),
                     {INT4OID, Int32GetDatum(progress->batch_size), false},
                     Int8Arg((int64)progress->wal_bytes),
                     TextArg(waits ? progress->waits_for : NULL),
                     {TIMESTAMPTZOID, TimestampTzGetDatum(progress->waiting_since), !waits},
                     {FLOAT8OID, Float8GetDatum(rate), false},
                     TextArg(error),
                     {BOOLOID, BoolGetDatum(ended), false},
                     TextArg(target->path),
                     Int8Arg(strcmp(state, "done") == 0 ? RowsDone(progress)
                                                        : Max(progress->estimated, RowsDone(progress)))};
    AsOwner owner = EnterAsOwner(target->schema);
    RunSavedSql(
        psprintf(
            "UPDATE %s SET state = $2, inserted = $3, updated = $4, kept = $5, busy = $6, quarantined = $7, "
            "batches = $8, batch_size = $9, wal_bytes = $10, waits_for = $11, waiting_since = $12, "
            "rows_per_second = round($13::numeric), last_error = coalesce($14, last_error), ended_at = CASE "
            "WHEN "
            "$15 THEN clock_timestamp() END, path = $16, rows_estimated = $17, "
            "last_seen_at = clock_timestamp() WHERE move_id = $1",
            ExtensionName(target->schema, "vm_move_run")),
        args, lengthof(args), 0);
    LeaveAsOwner(owner);
}

void TellProgress(const MoveTarget* target, MoveProgress* progress) {
    TimestampTz now = GetCurrentTimestamp();
    int64 done = RowsDone(progress);
    if (now - progress->told < USECS_PER_SEC) return;
    // A pause says nothing of how fast rows move, nor of when they will have moved.
    bool paused = strncmp(progress->waits_for, kPaused, strlen(kPaused)) == 0;
    double lately = (done - progress->told_rows) * 1e6 / (now - progress->told);
    if (!paused) progress->rate = progress->rate == 0 ? lately : 0.5 * progress->rate + 0.5 * lately;
    progress->told = now;
    progress->told_rows = done;
    if (progress->quiet) return;
    int64 all = Max(progress->estimated, done);
    const char* waits = progress->waits_for[0] ? psprintf(", waits for %s", progress->waits_for) : "";
    const char* rate = paused ? "" : psprintf(", %.0f rows/s", progress->rate);
    const char* left = !paused && progress->rate > 0 && all > done
                           ? psprintf(", %s left", PrettyDuration((all - done) / progress->rate))
                           : "";
    ereport(NOTICE,
            (errmsg("%s: " INT64_FORMAT " of about " INT64_FORMAT " rows (%.0f %%)%s%s%s", target->child_name,
                    done, all, all > 0 ? 100.0 * done / all : 100.0, rate, left, waits)));
}

void TellEnd(const MoveTarget* target, const MoveProgress* progress, const char* why) {
    if (progress->quiet) return;
    const MoveCounts* counts = &progress->counts;
    ereport(
        NOTICE,
        (errmsg_plural("%s: %s, " INT64_FORMAT " row moved in %.1f s",
                       "%s: %s, " INT64_FORMAT " rows moved in %.1f s", (unsigned long)MovedOf(counts),
                       target->child_name, why, MovedOf(counts),
                       (GetCurrentTimestamp() - progress->began) / 1e6),
         errdetail(INT64_FORMAT " inserted, " INT64_FORMAT " updated, " INT64_FORMAT
                                " kept back, " INT64_FORMAT " quarantined; " INT64_FORMAT " %s, %s of WAL.",
                   counts->inserted, counts->updated, counts->kept, counts->quarantined, progress->batches,
                   progress->batches == 1 ? "batch" : "batches", PrettySize(progress->wal_bytes))));
}
