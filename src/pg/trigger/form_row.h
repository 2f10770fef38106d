// The row that a document makes of what the feed sent.
#pragma once

#include "pg/mapping/plan_cache.h"
#include "pg/server/compat.h"
#include "pg/trigger/document.h"

// One row's way through the trigger.
struct RowWork {
    TriggerData* trigger;
    CompiledMapping* compiled;
    vm::Workspace* space;
    TupleDesc desc;
    HeapTuple incoming;  // as the feed sent it
    HeapTuple old;       // NULL for INSERT
    Datum* values;       // the incoming row's, to be filled; NULL until they are wanted
    bool* nulls;
    wall::Text text;  // the document
    DocumentContext about;
    uint32 column;  // being converted, and its value; NULL between columns
    const wall::Value* value;
    bool kept;  // the document was late: what stood stays
};

// Finds out what the document is called, once somebody wants to know: the row's _id, else the document's own.
void NameDocument(RowWork* work);

// The field that filled the column being converted, for messages.
const char* FieldOf(const RowWork* work);

// TransformDocument. While jsonb_in looks at the document, errors say which.
wall::Reason ReadWithContext(RowWork* work, wall::Row* row, wall::Problem* problem);

// Fills `values` and `nulls` from the incoming row.
void Deform(RowWork* work);

// The incoming row with the document's columns. Errors of the types' own functions say which field, column
// and document.
HeapTuple FormRow(RowWork* work, const wall::Row* row);

// The row that stands, with whatever the document does not fill as the feed sent it: the document is not
// taken.
HeapTuple KeepRow(const RowWork* work);
