// Rows of vm_anomaly: what is older than what stands, kept for a person to resolve.
#pragma once

#include "pg/server/compat.h"
#include "pg/mapping/plan_cache.h"
#include "pg/server/tables.h"

struct Anomaly {
    Relation child;
    const char* id;    // _id, or NULL
    const char* kind;  // 'late_document'
    TimestampTz incoming_time;
    TimestampTz stored_time;
    HeapTuple incoming;    // the row as the document would make it
    HeapTuple stored;      // the row as it is
    const char* document;  // the incoming document
};

// Writes it, as the tables' owner. The same document again while unresolved only counts up times_seen.
void RecordAnomaly(const CompiledMapping* compiled, const Anomaly* anomaly);

// The same for what is in nine arguments: child, mapping, _id, kind, incoming_time, stored_time, incoming,
// stored, incoming_doc. The child's name is put beside it.
void WriteAnomaly(Oid schema, const SqlArg* args);
