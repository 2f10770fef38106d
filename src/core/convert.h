// A node of a document to a value for a column.
#pragma once

#include <cstdint>
#include <vector>

#include "core/bytes.h"
#include "core/json_text.h"
#include "core/jsonb_writer.h"
#include "core/problem.h"
#include "core/rewrite.h"
#include "core/tape.h"
#include "core/value.h"

namespace vm {

// A conversion other than the type's own; a rule's "as".
enum class Conversion : uint8_t {
    Own,
    ObjectIdTime,  // objectid_time: when an ObjectId was made; NULL for what is none
    EpochSeconds,  // epoch_seconds: a bare number counts seconds, not milliseconds
    Floor,         // floor: integers, rounded down
    Round,         // round: integers, half away from zero
    JsonText,      // json_text: the value as JSON, wrappers and all
};

struct Target {
    Kind kind = Kind::Text;
    bool array = false;
    Conversion as = Conversion::Own;
    bool normalize = false;
    std::vector<Floor> floors;
};

// What conversions write to and reuse from document to document.
struct Output {
    Bytes bytes;                  // what values' offsets refer to
    std::vector<Value> elements;  // of arrays
    Tape scratch[2];
    Rewriter rewriter;
    JsonbWriter jsonb;
    JsonTextWriter json;

    void Clear();
    void Trim(size_t keep);
};

struct ConvertResult {
    Reason reason = Reason::None;
    int64_t element = -1;          // the array element at fault
    const char* member = nullptr;  // the floor at fault
    bool concatenated = false;     // a floor met something that is no object
};

// Converts the value at `node`, which may be null. Strings stay where they stand if a varlena header fits in
// front, so the buffer behind the tape must be writable; the byte before a string is overwritten.
ConvertResult Convert(const Tape& tape, uint32_t node, const Target& target, Output* out, Value* value);

// What most documents hold, for columns with the type's own conversion and nothing else, without a detour:
// strings for text, true and false, {"$date": 1575648464123}, jsonb as it is. False, with *value undefined,
// if it takes Convert.
bool ConvertCommon(const Tape& tape, uint32_t node, Kind kind, Output* out, Value* value);

// Appends text as a finished text datum.
Value TextDatum(std::string_view text, Bytes* out);

}  // namespace vm
