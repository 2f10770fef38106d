// Why a move has to wait before its next batch.
#pragma once

#include "core/pace.h"
#include "pg/server/compat.h"

// Settings, and what has been done lately. Plain data, valid over commits.
struct MoveThrottle {
    vm::RateLimit rows;  // a second
    vm::RateLimit wal;   // bytes a second
    int64 max_lag;       // of replicas, microseconds; 0: any
    char* query;         // the caller's: true means wait; NULL: none
    vm::LagMeter lag;
    TimestampTz asked;   // when lag and query were last looked at
    double wal_per_row;  // lately
};

// Refuses settings that cannot work for this caller (42501), and a query that is none or does not give one
// boolean (22023, or the error of the query itself).
void CheckThrottle(const MoveThrottle* throttle);

// Why to wait, in the current memory context, and until when at least; NULL if the next batch may begin. Asks
// replicas and the caller's query at most every fifth of a second.
char* ThrottleReason(MoveThrottle* throttle, TimestampTz* until);

// The most rows the limits leave for a batch.
int ThrottleBatch(const MoveThrottle* throttle, int batch);

// A batch that began at `began` moved so many rows and wrote so much WAL.
void ThrottleDone(MoveThrottle* throttle, int64 rows, uint64 wal_bytes, TimestampTz began);
