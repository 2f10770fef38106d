#include "core/problem.h"

#include <cstring>

namespace vm {

namespace {

constexpr ReasonInfo kReasons[] = {
    {"none", "00000", nullptr},
    {"not JSON", "22P02", nullptr},
    {"not JSON", "22P02", nullptr},
    {"undecided", "XX000", nullptr},
    {"nested too deeply", "54001", "Raise max_stack_depth, or flatten the document at the source."},
    {"too large", "54000", nullptr},
    {"cancelled", "57014", nullptr},
    {"out of memory", "53200", nullptr},
    {"internal error", "XX000", nullptr},
    {"root is not an object", "22023", "A document is a JSON object: { ... }."},
    {"invalid text", "22P02", nullptr},
    {"out of range", "22003", nullptr},
    {"has a fraction", "22P02",
     "Say \"as\": \"round\" or \"as\": \"floor\" in the mapping, or use a numeric column."},
    {"invalid time", "22007",
     "Accepted are $date in every form, epoch milliseconds, ISO 8601 and RFC 1123; no words, no local "
     "order."},
    {"time out of range", "22008", nullptr},
    {"invalid ObjectId", "22P02", "$oid is exactly 24 hexadecimal digits."},
    {"not an array", "22023", "A single value is not taken for an array of one."},
    {"missing value", "23502", "Give the column a \"default\" in the mapping, or mend the document."},
    {"composite value", "22P02", nullptr},
    {"bad rule", "22023", nullptr},
};
static_assert(sizeof(kReasons) / sizeof(kReasons[0]) == static_cast<size_t>(Reason::BadRule) + 1,
              "one row per reason");

}  // namespace

const ReasonInfo& Info(Reason reason) {
    return kReasons[static_cast<size_t>(reason)];
}

void CopyCut(char* to, size_t size, std::string_view text) {
    constexpr std::string_view kEllipsis = "\xE2\x80\xA6";
    if (text.size() < size) {
        std::memcpy(to, text.data(), text.size());
        to[text.size()] = '\0';
        return;
    }
    size_t cut = size - 1 - kEllipsis.size();
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;
    std::memcpy(to, text.data(), cut);
    std::memcpy(to + cut, kEllipsis.data(), kEllipsis.size());
    to[cut + kEllipsis.size()] = '\0';
}

}  // namespace vm
