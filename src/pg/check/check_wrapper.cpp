// vm_has_wrapper: whether Extended JSON was left inside jsonb; on the binary form, because a text of it costs
// ten times as much.
#include "pg/server/compat.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_has_wrapper);
}

// An object somewhere in a container with a key that begins with $, as all wrappers do and other fields may
// not.
static bool HasWrapper(JsonbContainer* container) {
    check_stack_depth();
    int n = JsonContainerSize(container);
    int keys = JsonContainerIsObject(container) ? n : 0;
    char* data = (char*)&container->children[keys + n];
    uint32 offset = 0;
    for (int i = 0; i < keys + n; i++) {
        JEntry entry = container->children[i];
        uint32 start = offset;
        JBE_ADVANCE_OFFSET(offset, entry);
        if (i < keys) {
            if (offset - start > 1 && data[start] == '$') return true;
        } else if (JBE_ISCONTAINER(entry)) {
            if (HasWrapper((JsonbContainer*)(data + INTALIGN(start)))) return true;
        }
    }
    return false;
}

extern "C" {

Datum vm_has_wrapper(PG_FUNCTION_ARGS) {
    Jsonb* value = PG_GETARG_JSONB_P(0);
    bool dollar = memchr(VARDATA(value), '$', VARSIZE(value) - VARHDRSZ) != NULL;
    PG_RETURN_BOOL(dollar && HasWrapper(&value->root));
}
}
