#include "pg/move/move_throttle.h"

#include "pg/server/tables.h"

extern "C" {
#include <access/xlog.h>
#include <catalog/pg_authid.h>
#include <utils/plancache.h>
}

static constexpr int64 kAskEvery = 200 * 1000;  // microseconds

// Errors of the query speak of the query, not of the statement it stands in.
static void OnQueryError(void* arg) {
    internalerrquery(NULL);
    internalerrposition(0);
    errcontext("throttle_query of the move: %s", (const char*)arg);
}

// The type of what the query gives. It is analysed, not run.
static Oid QueryType(const char* query) {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    SPIPlanPtr plan = SPI_prepare(psprintf("SELECT (%s\n)", query), 0, NULL);
    if (plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    const CachedPlanSource* source = (const CachedPlanSource*)linitial(SPI_plan_get_plan_sources(plan));
    Oid type = TupleDescAttr(source->resultDesc, 0)->atttypid;
    SPI_finish();
    return type;
}

static void CheckQuery(const char* query) {
    ErrorContextCallback callback = {error_context_stack, OnQueryError, (void*)query};
    error_context_stack = &callback;
    Oid type = QueryType(query);
    error_context_stack = callback.previous;
    if (type != BOOLOID)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("throttle_query gives %s, not boolean", format_type_be(type)),
                        errhint("The move waits while it gives true, as in SELECT count(*) > 5 FROM ...")));
}

void CheckThrottle(const MoveThrottle* throttle) {
    if (throttle->query != NULL) CheckQuery(throttle->query);
    if (throttle->max_lag == 0) return;
    if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS)) return;
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("max_replica_lag needs the rights of pg_read_all_stats"),
                    errdetail("Without them pg_stat_replication does not show how far replicas are."),
                    errhint("GRANT pg_monitor TO the role that moves.")));
}

// How far the slowest replica is behind, and its name.
static char* LagReason(MoveThrottle* throttle, TimestampTz now) {
    throttle->lag.Now(GetFlushRecPtr(NULL), now, Max(throttle->max_lag / 32, 1000));
    SafePath path = EnterSafePath();
    SqlResult slowest = RunSql(
        "SELECT replay_lsn - '0/0', application_name FROM pg_stat_replication WHERE replay_lsn IS NOT NULL "
        "ORDER BY replay_lsn LIMIT 1",
        NULL, 0, 2);
    LeaveSafePath(path);
    if (!slowest.found) return NULL;
    uint64 reached = (uint64)DatumGetInt64(DirectFunctionCall1(numeric_int8, slowest.value[0]));
    int64 lag = throttle->lag.Lag(reached, now);
    if (lag <= throttle->max_lag) return NULL;
    return psprintf("replica %s, %.1f s behind", TextDatumGetCString(slowest.value[1]), lag / 1e6);
}

static char* QueryReason(const MoveThrottle* throttle) {
    ErrorContextCallback callback = {error_context_stack, OnQueryError, throttle->query};
    error_context_stack = &callback;
    bool wait = RunSql(psprintf("SELECT true WHERE (%s\n)", throttle->query), NULL, 0, 1).found;
    error_context_stack = callback.previous;
    return wait ? pstrdup("throttle_query") : NULL;
}

char* ThrottleReason(MoveThrottle* throttle, TimestampTz* until) {
    TimestampTz now = GetCurrentTimestamp();
    if (now - throttle->asked >= kAskEvery) {
        char* reason = throttle->max_lag > 0 ? LagReason(throttle, now) : NULL;
        if (reason == NULL && throttle->query != NULL) reason = QueryReason(throttle);
        if (reason != NULL) {
            *until = now + kAskEvery;
            return reason;
        }
        throttle->asked = now;
    }
    *until = Max(throttle->rows.next(), throttle->wal.next());
    if (*until <= now) return NULL;
    return pstrdup(throttle->rows.next() >= throttle->wal.next() ? "max_rows_per_second"
                                                                 : "max_wal_per_second");
}

int ThrottleBatch(const MoveThrottle* throttle, int batch) {
    double most = throttle->rows.most();
    if (throttle->wal_per_row > 0) most = Min(most, throttle->wal.most() / throttle->wal_per_row);
    return most < batch ? Max((int)most, 1) : batch;
}

void ThrottleDone(MoveThrottle* throttle, int64 rows, uint64 wal_bytes, TimestampTz began) {
    throttle->rows.Done((double)rows, began);
    throttle->wal.Done((double)wal_bytes, began);
    if (rows > 0) throttle->wal_per_row = (double)wal_bytes / rows;
}
