// What can be wrong with a document, a value or a mapping: one table of reasons, and a plain-data report.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vm {

enum class Reason : uint8_t {
    None,
    // the document
    NotJson,        // the reader refused it; the server's jsonb_in has the last word
    NotJsonSure,    // jsonb_in is known to refuse it too, with the same SQLSTATE
    NeedsServer,    // too deep to be sure; jsonb_in decides
    TooDeep,        // deeper than the server's stack allows
    TooLarge,       // beyond a limit of jsonb
    Cancelled,      // the cancel flag was seen
    OutOfMemory,    //
    Internal,       // an exception nobody expected
    RootNotObject,  //
    // a value
    InvalidText,      // 22P02: not a value of the type
    NumberRange,      // 22003: out of the type's range
    HasFraction,      // 22P02: an integer was wanted
    InvalidTime,      // 22007
    TimeRange,        // 22008
    InvalidObjectId,  // 22P02
    NotAnArray,       // 22023
    NotNull,          // 23502
    Composite,        // 22P02: an object or array where a scalar was wanted
    // a mapping
    BadRule,  // 22023
};

struct ReasonInfo {
    const char* name;      // as shown to users
    const char* sqlstate;  // five characters
    const char* hint;      // nullptr if there is nothing useful to say
};

// The table. Never fails.
const ReasonInfo& Info(Reason reason);

// A problem as plain data, fit to cross the wall: every text is NUL-terminated, valid UTF-8 and cut to fit.
struct Problem {
    Reason reason = Reason::None;
    int column = -1;  // index into the plan's columns, or -1
    char path[128];   // field path in the document, or the key in the rules
    char value[96];   // the offending value, readable and cut
    char text[192];   // for BadRule: what is wrong with it; for a value: the type wanted, if not the column's
    char hint[192];   // for BadRule: what to do
    Problem() { path[0] = value[0] = text[0] = hint[0] = '\0'; }  // made for every document: nothing more
};

// Copies text into a fixed buffer, cut at a character boundary, with "…" where it was cut.
void CopyCut(char* to, size_t size, std::string_view text);

template <size_t N>
void CopyCut(char (&to)[N], std::string_view text) {
    CopyCut(to, N, text);
}

}  // namespace vm
