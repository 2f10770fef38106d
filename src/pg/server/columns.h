// A table's columns as the core wants them, and the core's values as Datums.
#pragma once

#include "pg/server/compat.h"
#include "pg/trigger/form_tuple.h"
#include "wall/wall.h"

// How one column's values become Datums. Lives in the context it was made in.
struct ColumnIo {
    AttrNumber attno;
    char* name;
    wall::Kind kind;  // of the column, or of its elements
    Oid type;         // base type, of the column or of its elements
    int32 typmod;
    Oid domain;          // the column's domain, or InvalidOid
    Oid element_domain;  // the elements' domain, or InvalidOid
    bool array;
    int16 len;  // of the element type, for arrays
    bool byval;
    char align;
    Oid io_param;
    FmgrInfo input;
    void* domain_cache;
    void* element_domain_cache;
    bool default_known;  // the table's DEFAULT is a constant: this one
    bool default_null;
    Datum default_value;
    int element;    // of an array: the one at hand, for messages
    bool fallible;  // the server may refuse what the core has accepted
    bool as_is;     // integers and finished datums of the core's need no more work, nor can they fail
};

// The columns of a table that a document may fill.
struct TableColumns {
    int count;
    wall::ColumnSpec* specs;
    ColumnIo* io;
    AttrNumber id_att;   // _id, or InvalidAttrNumber
    AttrNumber doc_att;  // _doc, or InvalidAttrNumber
    Oid doc_type;        // text, varchar, json or jsonb
    TupleLayout layout;
};

// Why a column is not among them, for people; NULL if it is. "generated", "identity", "the feed's own".
const char* LeftAlone(Form_pg_attribute att);

// Reads a table's columns, in the current memory context. Errors if _doc is of no type that holds a document;
// without a _doc column doc_att is invalid.
TableColumns ReadColumns(Relation rel);

// A value that needs no work as a Datum. False if it takes ValueDatum.
static inline bool SimpleDatum(const ColumnIo* io, const wall::Row* row, const wall::Value* value,
                               Datum* datum, bool* null) {
    if (!io->as_is) return false;
    *null = value->form == vm::Form::Null;
    switch (value->form) {
        case vm::Form::Null: *datum = (Datum)0; return true;
        case vm::Form::Int: *datum = (Datum)value->i; return true;
        case vm::Form::Datum: *datum = PointerGetDatum(vm::AddressOf(*value, row->output)); return true;
        default: return false;
    }
}

// A value as a Datum, in the current memory context. Errors of input functions and domains pass through.
Datum ValueDatum(ColumnIo* io, const wall::Row* row, const wall::Value* value, bool* null);

// Text as a value of a column's type, through the type's input function.
Datum TextAs(Form_pg_attribute att, const char* text);

// The document in a _doc datum, whatever its type: text and length. May allocate.
wall::Text DocumentText(Datum doc, Oid doc_type);
