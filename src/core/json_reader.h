// JSON text to a tape, in place. The only reader in the project; RapidJSON does the parsing.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>

#include "core/problem.h"
#include "core/tape.h"

namespace vm {

// Zero bytes that must follow the text in its buffer: the string scan reads ahead by that much at most.
constexpr size_t kReadAhead = 64;

struct ReadLimits {
    const volatile std::sig_atomic_t* cancel = nullptr;  // polled; non-zero is Reason::Cancelled
    bool utf8 = true;     // escapes were written as UTF-8: look for stray surrogates among them
    bool judged = false;  // the server accepted the text as jsonb: any depth and size will do
};

// Reads `text` (len bytes, then kReadAhead zero bytes), unescaping strings where they stand.
// The byte before `text` must exist. The text must be valid in its encoding; the reader checks JSON,
// surrogates, NUL, the range of numbers and the sizes that jsonb can hold, so that what it accepts, jsonb
// accepts. Returns Reason::None, or why not: NotJson, NeedsServer (so deep that only jsonb_in can tell),
// TooLarge, Cancelled. *large is set if a value could be more than jsonb can hold: only writing it tells.
// Throws std::bad_alloc.
Reason ReadJson(char* text, size_t len, const ReadLimits& limits, Tape* tape, bool* large = nullptr);

}  // namespace vm
