// Running server code that may raise an error, and going on after it.
#pragma once

#include "pg/server/compat.h"

// Calls f(arg) in a subtransaction. NULL if it came through; else the error, in the caller's context, with
// everything f did undone. Cancellation, shutdown and running out of memory are raised again.
ErrorData* RunCaught(void (*f)(void*), void* arg);

// The same, with nothing raised again.
ErrorData* RunCaughtAll(void (*f)(void*), void* arg);

// Whether an error only says that somebody was in the way, who may be gone the next time.
inline bool InTheWay(const ErrorData* error) {
    return error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
           error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED ||
           error->sqlerrcode == ERRCODE_T_R_SERIALIZATION_FAILURE;
}

// An error's message with its detail, cut to a readable length: a type's own function may quote megabytes.
char* ReadableMessage(const ErrorData* error);

// Within PG_CATCH: raises the error again, its message cut. `context` was current before PG_TRY.
[[noreturn]] void RethrowReadable(MemoryContext context);
