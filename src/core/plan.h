// A mapping compiled for one table: which fields each column looks at, how it converts them, what it falls
// back to.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/convert.h"
#include "core/problem.h"
#include "core/tape.h"
#include "core/value.h"

namespace vm {

// A column as the server knows it. Only columns that a document may fill are listed: none that is dropped,
// generated or an identity, and not the feed's own _id and _doc.
struct ColumnSpec {
    std::string name;
    std::string type_name;  // for messages
    Kind kind = Kind::Text;
    bool array = false;
    bool required = false;     // NULL is refused
    bool by_default = true;    // filled without a rule; false: only if a rule names it
    bool has_default = false;  // the table has a DEFAULT for it: a missing field leaves the column alone
};

// One place a value may stand: a field of the root, then steps into it.
struct Source {
    std::string path;   // as the rule says it
    uint32_t slot = 0;  // the root field, an index into Plan::fields
    std::vector<std::string> steps;
};

// A document's text with its tape, kept together.
struct ParsedText {
    std::vector<char> buffer;
    Tape tape;
    // False if it is no JSON.
    bool Read(std::string_view text);
};

struct Column {
    ColumnSpec spec;
    Target target;
    std::vector<Source> sources;
    bool has_default = false;
    int default_arg = 0;       // 1-based trigger argument, or 0
    std::string default_text;  // as the rule says it, JSON
    // The converted fallback: Value addresses point into these.
    Value fallback;
    std::vector<Value> fallback_elements;
    std::vector<char> fallback_bytes;
};

// A field's name in two words: all of it if it has 16 bytes at most.
struct FieldEnds {
    uint64_t head = 0;  // the first eight bytes, zeroes behind a shorter one
    uint64_t tail = 0;  // the last eight; zero for a shorter one

    FieldEnds() = default;
    // Reads eight bytes from text on, whatever its length.
    FieldEnds(const char* text, uint32_t len) {
        std::memcpy(&head, text, sizeof(head));
        if (len >= sizeof(head)) {
            std::memcpy(&tail, text + len - sizeof(tail), sizeof(tail));
            return;
        }
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        head &= (uint64_t{1} << (8 * len)) - 1;
#else
        head &= ~(~uint64_t{0} >> (8 * len));
#endif
    }
    size_t Hash(uint32_t len) const {
        const uint64_t h = (head ^ (tail << 1) ^ len) * 0x9E3779B97F4A7C15u;
        return static_cast<size_t>(h >> 32);
    }
};

enum class OnError : uint8_t { Raise, Quarantine };

struct Plan {
    std::vector<Column> columns;      // in the order of the specs, ignored ones left out
    std::vector<int> column_of;       // for each spec its column here, or -1
    std::vector<std::string> fields;  // root fields some source wants
    std::vector<uint32_t> watermark;  // columns
    int unmapped = -1;                // column that collects what no other took, or -1
    bool unmapped_normalize = false;
    OnError on_error = OnError::Raise;

    // For each column what ConvertCommon needs, close together: one or two root fields (the second is the
    // first again if there is but one), and the value if they are absent, where that is simple to say.
    struct Common {
        uint32_t slot[2] = {0, 0};
        Kind kind = Kind::Other;
        bool usable = false;
        bool absent_known = false;
        Value absent;
    };
    std::vector<Common> common;

    // Open addressing over `fields`; slot -1 is empty.
    struct HashEntry {
        FieldEnds ends;
        uint32_t len = 0;
        int slot = -1;
    };
    std::vector<HashEntry> hash;

    // The slot of a root field, or -1. Reads kTextPadding bytes from text on.
    int Slot(const char* text, uint32_t len) const {
        const FieldEnds ends(text, len);
        const size_t mask = hash.size() - 1;
        for (size_t at = ends.Hash(len) & mask;; at = (at + 1) & mask) {
            const HashEntry& e = hash[at];
            if (e.slot < 0) return -1;
            if (e.len != len || e.ends.head != ends.head || e.ends.tail != ends.tail) continue;
            if (len <= 16 || std::memcmp(fields[static_cast<size_t>(e.slot)].data(), text, len) == 0)
                return e.slot;
        }
    }
};

// Checks a mapping's rules by themselves: known keys, right shapes. Problem::path names the key.
bool CheckRules(std::string_view rules, Problem* problem);

// Compiles the rules for a table. `args` are the trigger's arguments after the mapping's name; nullptr if
// there is no trigger (a check of rules against a table), then defaults by argument stay unresolved.
// Everything that cannot work is refused here: columns that do not exist, conversions their types do not
// allow, defaults that cannot be converted.
bool Compile(std::string_view rules, const std::vector<ColumnSpec>& specs,
             const std::vector<std::string>* args, Plan* plan, Problem* problem);

// deletedAt for deleted_at; the name itself if there is nothing to change.
std::string CamelCase(std::string_view name);

// The rule's word for a conversion, or nullptr for the type's own.
const char* ConversionName(Conversion as);

}  // namespace vm
