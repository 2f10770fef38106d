// A value of a document with its Extended JSON wrapper taken off.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"
#include "core/problem.h"
#include "core/tape.h"

namespace vm {

enum class ScalarKind : uint8_t {
    Null,       // null, $undefined
    Bool,       // truth
    Number,     // text: as written; from $number… perhaps with blanks, a plus sign or NaN
    String,     // text; also $symbol, $code
    Oid,        // node: the value of $oid
    Date,       // node: the value of $date
    Timestamp,  // node: seconds since 1970
    Binary,     // text: base64, subtype
    Uuid,       // text
    Regex,      // text: pattern, options
    MinKey,
    MaxKey,
    Composite,  // an object or array, or a wrapper with nothing sensible in it
};

struct Scalar {
    ScalarKind kind = ScalarKind::Null;
    bool truth = false;
    int subtype = -1;   // Binary
    uint32_t node = 0;  // payload
    std::string_view text;
    std::string_view options;  // Regex
};

// Never fails: what it cannot make sense of is Composite.
Scalar Unwrap(const Tape& tape, uint32_t node);

// The moment a value stands for: $date in every form, epoch milliseconds as number or digits, ISO 8601, RFC
// 1123, $timestamp, $oid, $minKey and $maxKey as infinities. `unit` is the milliseconds (1) or seconds (1000)
// that a bare number counts. Sets *null for null. Reasons: InvalidTime, TimeRange, InvalidObjectId.
Reason TimeOf(const Tape& tape, uint32_t node, int64_t unit, int64_t* micros, bool* null);

// The 16 bytes of a Binary scalar of subtype 3 or 4, in `out` from *at on. False if it is none.
bool BinaryUuid(const Scalar& s, Bytes* out, size_t* at);

// Appends the value as text: what a text column gets. Strings are better used where they stand.
// False if it has none ($minKey, $maxKey, a $number… that is no number).
// `composite` is set, and nothing appended, if the caller is to print it as JSON.
bool AppendScalarText(const Tape& tape, const Scalar& s, Bytes* out, bool* composite);

}  // namespace vm
