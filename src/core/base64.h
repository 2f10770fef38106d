// Base64 and hexadecimal, as Extended JSON carries binary data.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace vm {

// Appends the decoded bytes. False, with nothing appended, if it is not padded base64 without blanks.
bool AppendBase64Decoded(std::string_view text, Bytes* out);

// Values of hexadecimal digits, -1 for any other byte.
struct HexDigits {
    int8_t value[256];
    constexpr HexDigits() : value() {
        for (int8_t& v : value) v = -1;
        for (int i = 0; i < 10; ++i) value['0' + i] = static_cast<int8_t>(i);
        for (int i = 0; i < 6; ++i) value['a' + i] = value['A' + i] = static_cast<int8_t>(10 + i);
    }
};
inline constexpr HexDigits kHexDigits;

// Value of a hexadecimal digit, or -1.
inline int HexDigit(char c) {
    return kHexDigits.value[static_cast<unsigned char>(c)];
}

// 16 bytes from 8-4-4-4-12 hexadecimal digits. False for any other spelling.
bool ParseUuid(std::string_view text, unsigned char* out);

// Appends 16 bytes as 8-4-4-4-12.
void AppendUuidText(const unsigned char* bytes, Bytes* out);

// Seconds since 1970 in the first four bytes of an ObjectId of exactly 24 hexadecimal digits.
bool ParseObjectId(std::string_view text, int64_t* seconds);

}  // namespace vm
