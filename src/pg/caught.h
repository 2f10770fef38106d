// Running server code that may raise an error, and going on after it.
#pragma once

#include "pg/compat.h"

// Calls f(arg) in a subtransaction. NULL if it came through; else the error, in the caller's context, with
// everything f did undone. Cancellation, shutdown and running out of memory are raised again.
ErrorData* RunCaught(void (*f)(void*), void* arg);
