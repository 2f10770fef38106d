// A document through the core: jsonb_in as judge of the last resort, problems as errors.
#pragma once

#include "pg/server/compat.h"
#include "pg/mapping/plan_cache.h"
#include "wall/wall.h"

// What a problem is about; names it in messages. Any text may be NULL.
struct DocumentContext {
    const char* table;  // qualified
    const char* id;     // the row's _id
    Relation rel;       // for the error's schema, table and column fields
    CompiledMapping* compiled;
};

// This backend's workspace; one of the caller's own, freed with the current context, while it is busy: a
// conversion of the server's may run SQL that comes back here.
vm::Workspace* TakeWorkspace(void);
// What was transformed in it is done with. Errors give it back when the transaction or subtransaction ends.
void GiveBackWorkspace(vm::Workspace* space, size_t document_size);

// Transforms a document as far as the core is sure. None and *row; a reason and *problem; or NotJson or
// NeedsServer, and TransformDocument has to put it to jsonb_in.
wall::Reason TryDocument(vm::Workspace* space, CompiledMapping* compiled, wall::Text doc, bool all,
                         wall::Row* row, wall::Problem* problem);

// The same, with jsonb_in's judgement where it is wanted: its own error passes through.
wall::Reason TransformDocument(vm::Workspace* space, CompiledMapping* compiled, wall::Text doc, bool all,
                               wall::Row* row, wall::Problem* problem);

// A problem in words.
struct ProblemWords {
    int sqlerrcode;
    char* message;
    char* detail;
    char* hint;    // or NULL
    char* field;   // path, or NULL
    char* column;  // or NULL
};
ProblemWords WordProblem(const DocumentContext* about, const wall::Problem* problem);

// Raises it.
[[noreturn]] void RaiseProblem(const DocumentContext* about, const wall::Problem* problem);

// The text of an _id column's datum in the row, or the document's own _id, or NULL.
char* RowId(HeapTuple tuple, TupleDesc desc, const TableColumns* table);
