// The arguments of CALL vm_move.
#include "pg/move/move_run.h"
#include "pg/server/tables.h"

// Argument i counted from 0, which must be positive; NULL gives 0.
static int64 PositiveArg(FunctionCallInfo fcinfo, int i, const char* name, bool wide) {
    if (fcinfo->args[i].isnull) return 0;
    int64 value = wide ? PG_GETARG_INT64(i) : PG_GETARG_INT32(i);
    if (value <= 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be greater than 0", name)));
    return value;
}

static int64 IntervalArg(FunctionCallInfo fcinfo, int i, const char* name) {
    if (fcinfo->args[i].isnull) return 0;
    const Interval* span = PG_GETARG_INTERVAL_P(i);
    int64 us = span->time + (span->day + (int64)span->month * DAYS_PER_MONTH) * USECS_PER_DAY;
    if (us <= 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be greater than 0", name)));
    return us;
}

// A query that is to stand within another one.
static char* WithoutSemicolon(char* query) {
    size_t len = query ? strlen(query) : 0;
    while (len > 0 && (isspace((unsigned char)query[len - 1]) || query[len - 1] == ';')) query[--len] = '\0';
    return query;
}

MoveRun* BeginRun(FunctionCallInfo fcinfo) {
    static const int kRequired[] = {0, 2, 3, 4, 5, 11, 13};
    for (int i : kRequired) RequireArgument(fcinfo, i);
    MoveOptions options = {TextArgument(fcinfo, 1), OnConflictOf(TextArgument(fcinfo, 2)),
                           LockingOf(TextArgument(fcinfo, 3)), NameArgument(fcinfo, 14)};
    MoveRun* run = (MoveRun*)palloc0(sizeof(MoveRun));
    run->pace = vm::Pace(PositiveArg(fcinfo, 4, "target_batch_ms", false) * 1000,
                         (int)PositiveArg(fcinfo, 5, "max_batch_size", false));
    run->throttle.rows = vm::RateLimit((double)PositiveArg(fcinfo, 6, "max_rows_per_second", false));
    run->throttle.wal = vm::RateLimit((double)PositiveArg(fcinfo, 7, "max_wal_per_second", true));
    run->throttle.max_lag = IntervalArg(fcinfo, 8, "max_replica_lag");
    run->throttle.query = WithoutSemicolon(TextArgument(fcinfo, 9));
    run->max_run_us = IntervalArg(fcinfo, 10, "max_run_time");
    run->lock_timeout_ms = (int)PositiveArg(fcinfo, 11, "lock_timeout_ms", false);
    run->max_quarantined = PG_ARGISNULL(12) ? PG_INT64_MAX : PG_GETARG_INT64(12);
    run->progress.quiet = PG_GETARG_BOOL(13);
    CheckThrottle(&run->throttle);
    run->report.context = CurrentMemoryContext;
    run->step =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate move step", ALLOCSET_DEFAULT_SIZES);
    run->target = BuildTarget(ExtensionSchema(fcinfo), PG_GETARG_OID(0), &options, CurrentMemoryContext);
    return run;
}
