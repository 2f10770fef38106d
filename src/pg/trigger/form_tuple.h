// heap_form_tuple for the rows of a trigger: the same tuple in one pass, from what is known of the columns.
#pragma once

#include "pg/server/compat.h"

// A column as stored.
struct AttLayout {
    int16 len;    // bytes; -1 for a varlena
    uint8 align;  // bytes less one
    bool byval;
    bool packable;  // a varlena that may get a short header
};

// A table's columns; `known` unless there is a type that no table should have, such as cstring.
struct TupleLayout {
    int natts;
    bool known;
    AttLayout* atts;
};

// In the current memory context.
TupleLayout ReadLayout(TupleDesc desc);

// What heap_form_tuple returns, which takes over where a value is large, toasted or expanded.
HeapTuple FormTuple(TupleDesc desc, const TupleLayout* layout, Datum* values, bool* nulls);
