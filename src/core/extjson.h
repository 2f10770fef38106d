// MongoDB Extended JSON, versions 1 and 2, relaxed and canonical: which objects are wrappers.
//
// An object is a wrapper only if it has exactly the wrapper's keys, in any order; of several equal keys the
// last counts. What stands inside is judged by who uses it.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/tape.h"

namespace vm {

enum class Wrapper : uint8_t {
    None,
    Oid,            // a: the value of $oid
    Date,           // a: the value of $date
    NumberInt,      // a
    NumberLong,     // a
    NumberDouble,   // a
    NumberDecimal,  // a
    Binary,         // a: base64 text; b: subtype, hexadecimal text or a number
    Uuid,           // a
    Regex,          // a: pattern; b: options
    Timestamp,      // a: t; b: i
    Undefined,      // a
    MinKey,         // a
    MaxKey,         // a
    Symbol,         // a
    Code,           // a
    CodeWithScope,  // a: code; b: scope
    DbPointer,      // a
    Ref,            // a: $ref; b: $id
};

struct Wrapped {
    Wrapper kind = Wrapper::None;
    uint32_t a = 0;  // node indexes
    uint32_t b = 0;
};

// Which wrapper the value at `node` is; None for anything else.
Wrapped Recognise(const Tape& tape, uint32_t node);

// Index of the value of the last member called `key` of the object at `node`; 0 if there is none or it is no
// object.
uint32_t Member(const Tape& tape, uint32_t node, std::string_view key);

inline std::string_view TextOf(const Node& n) {
    return {n.text, n.len};
}

}  // namespace vm
