#include "pg/server/caught.h"

static bool NobodysFault(int sqlerrcode) {
    int category = ERRCODE_TO_CATEGORY(sqlerrcode);
    return category == ERRCODE_OPERATOR_INTERVENTION || category == ERRCODE_INSUFFICIENT_RESOURCES;
}

static ErrorData* RunAndCatch(void (*f)(void*), void* arg, bool all) {
    MemoryContext context = CurrentMemoryContext;
    ResourceOwner owner = CurrentResourceOwner;
    ErrorData* volatile error = NULL;
    BeginInternalSubTransaction(NULL);
    MemoryContextSwitchTo(context);
    PG_TRY();
    {
        f(arg);
        ReleaseCurrentSubTransaction();
    }
    PG_CATCH();
    {
        MemoryContextSwitchTo(context);
        error = CopyErrorData();
        FlushErrorState();
        RollbackAndReleaseCurrentSubTransaction();
    }
    PG_END_TRY();
    MemoryContextSwitchTo(context);
    CurrentResourceOwner = owner;
    // Not before the subtransaction has ended: who catches it further out ends only its own.
    if (error != NULL && !all && NobodysFault(error->sqlerrcode)) ReThrowError(error);
    return error;
}

ErrorData* RunCaught(void (*f)(void*), void* arg) {
    return RunAndCatch(f, arg, false);
}

ErrorData* RunCaughtAll(void (*f)(void*), void* arg) {
    return RunAndCatch(f, arg, true);
}

static char* Cut(char* message) {
    constexpr int kMost = 240;
    int len = (int)strlen(message);
    if (len <= kMost) return message;
    return psprintf("%.*s...", pg_mbcliplen(message, len, kMost), message);
}

char* ReadableMessage(const ErrorData* error) {
    char* message = Cut(error->message);
    return error->detail ? psprintf("%s: %s", message, Cut(error->detail)) : message;
}

void RethrowReadable(MemoryContext context) {
    MemoryContextSwitchTo(context);
    ErrorData* error = CopyErrorData();
    FlushErrorState();
    error->message = Cut(error->message);
    if (error->detail) error->detail = Cut(error->detail);
    ReThrowError(error);
    pg_unreachable();
}
