// Rows of vm_quarantine: documents that could not be transformed, until a good one of the same _id arrives.
#pragma once

#include "pg/server/compat.h"
#include "pg/trigger/document.h"

// Writes a document with its error, as the tables' owner. The same document again while open only counts up
// attempts.
void Quarantine(const CompiledMapping* compiled, Relation child, const char* id, const char* document,
                const char* operation, const ProblemWords* words);

// Whether any document of the child is open in quarantine.
bool AnyQuarantined(Oid schema, Oid child);

// Settles what is open for an _id: a good document has been taken. On INSERT a row of that _id means that an
// UPDATE is to follow, which judges the document: nothing is settled yet.
void SettleQuarantine(Oid schema, Oid child, const char* id, bool insert);

// While a retry sends a document, it does the settling itself.
extern bool quarantine_retry;
