// A CALL vm_move under way.
#pragma once

#include "core/pace.h"
#include "pg/move/move_progress.h"
#include "pg/move/move_throttle.h"

// A move under way. In the procedure's SPI context, valid over commits.
struct MoveRun {
    MemoryContext step;  // emptied after each step
    MoveTarget* target;
    MoveScan scan;
    bool scanning;  // scan has begun
    bool at_batch;  // this step has come to its rows
    MoveThrottle throttle;
    vm::Pace pace;
    MoveProgress progress;
    MoveReport report;
    int lock_timeout_ms;
    int64 max_run_us;  // 0: no limit
    int64 max_quarantined;
    int64 back_off;       // microseconds, where others are in the way; 0: nobody is
    TimestampTz wake_at;  // not before
    int64 busy_in_round;
    int64 rows_since_whole;  // found or left since the last whole round began
    int rounds;              // whole ones after the first
    int64 first_round_rows;
    const char* over;   // why it ends; NULL: it goes on
    const char* state;  // to be recorded then
};

// A run as the procedure's arguments want it, in the current memory context. Errors: an argument that is none
// (22004, 22023), a right that is missing (42501), and those of BuildTarget.
MoveRun* BeginRun(FunctionCallInfo fcinfo);
