// One column's value on its way to the server: plain data, no ownership.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vm {

// What kind of column a value is for. The server side chooses it by the column's base type.
enum class Kind : uint8_t {
    Text,  // text, varchar without length
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,      // without precision
    TimestampTz,  // microseconds since 2000-01-01 UTC
    Timestamp,    // the same, read as UTC wall time
    Date,         // days since 2000-01-01
    Time,         // microseconds since midnight
    Uuid,
    Bytea,
    Json,
    Jsonb,
    Other,  // through the type's input function
};

enum class Form : uint8_t {
    Null,
    Int,    // i
    Float,  // f
    Datum,  // at: a finished varlena (short header or 4-byte header, 4-aligned)
    Bytes,  // at: 16 bytes of a uuid
    Input,  // at: NUL-terminated text for the type's input function
    Array,  // first, count: into the elements
};

// Where a value came from, beside the index of a column's source.
constexpr int16_t kFromDefault = -1;
constexpr int16_t kFromNowhere = -2;
constexpr int16_t kLeftAlone = -3;  // Null, and the column is to keep what it has: the table's own DEFAULT

struct Value {
    Form form = Form::Null;
    bool in_output = false;  // `at` is an offset into the output buffer, not an address
    int16_t source = kFromNowhere;
    uint32_t count = 0;  // Array
    union {
        int64_t i;
        double f;
        char* text;
        size_t offset;
        uint32_t first;
    };
    Value() : i(0) {}
};

inline char* AddressOf(const Value& v, char* output) {
    return v.in_output ? output + v.offset : v.text;
}

}  // namespace vm
