// Base64 and hexadecimal, as Extended JSON carries binary data.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace vm {

// Appends the decoded bytes. False, with nothing appended, if it is not padded base64 without blanks.
bool AppendBase64Decoded(std::string_view text, Bytes* out);

// Value of a hexadecimal digit, or -1.
inline int HexDigit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// 16 bytes from 8-4-4-4-12 hexadecimal digits. False for any other spelling.
bool ParseUuid(std::string_view text, unsigned char* out);

// Appends 16 bytes as 8-4-4-4-12.
void AppendUuidText(const unsigned char* bytes, Bytes* out);

// Seconds since 1970 in the first four bytes of an ObjectId of exactly 24 hexadecimal digits.
bool ParseObjectId(std::string_view text, int64_t* seconds);

}  // namespace vm
