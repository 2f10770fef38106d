// Numbers as most documents hold them, eight digits at a time.
#pragma once

#include <cstddef>

namespace vm {

// Writes the stored form of a number of at most 16 digits, or of one with up to eight on both sides of its
// point, as AppendNumericFromJson does: up to kShortNumericMost bytes at `to`, whatever the size. The size; 0
// for any other text, and on big-endian machines. Reads kTextPadding bytes behind the text.
constexpr size_t kShortNumericMost = 14;
size_t ShortNumeric(const char* text, size_t len, char* to);

}  // namespace vm
