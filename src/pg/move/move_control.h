// Pausing and stopping moves from other sessions.
#pragma once

#include "pg/server/compat.h"

// What a paused move waits for.
constexpr char kPaused[] = "vm_resume_move";

struct MoveControl {
    char* paused_by;  // NULL: not paused
    TimestampTz paused_at;
    TimestampTz stop_at;  // moves that began before are to stop; 0: never said
    char* stop_by;
};

// What was asked of moves of a child, as of now. In the current memory context.
MoveControl ReadControl(Oid schema, Oid child);
