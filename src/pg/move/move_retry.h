// A row that the parent refused, once more.
#pragma once

#include "pg/server/compat.h"

// As it stands in vm_quarantine; texts may be NULL.
struct RefusedRow {
    Oid schema;  // of the extension
    Oid child;
    const char* id;
    const char* doc;
    Datum staged_row;  // a jsonb
    const char* on_conflict;
    const char* key_index;
};

// Writes the row to the child's parent, as it was to be moved. False if another row stands there and stays:
// then it is recorded in vm_anomaly. Errors of the parent pass through; a member of staged_row that is no
// column any more is one (42703).
bool MoveRefusedRow(const RefusedRow* row);
