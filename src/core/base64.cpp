#include "core/base64.h"

namespace vm {

namespace {

int Sextet(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

}  // namespace

bool AppendBase64Decoded(std::string_view text, Bytes* out) {
    if (text.size() % 4 != 0) return false;
    size_t pad = 0;
    while (pad < 2 && pad < text.size() && text[text.size() - 1 - pad] == '=') ++pad;
    const size_t start = out->size();
    char* to = out->Extend(text.size() / 4 * 3);
    for (size_t i = 0; i < text.size(); i += 4) {
        uint32_t word = 0;
        for (size_t k = i; k < i + 4; ++k) {
            const int v = k >= text.size() - pad ? 0 : Sextet(text[k]);
            if (v < 0) {
                out->Resize(start);
                return false;
            }
            word = word << 6 | static_cast<uint32_t>(v);
        }
        *to++ = static_cast<char>(word >> 16);
        *to++ = static_cast<char>(word >> 8);
        *to++ = static_cast<char>(word);
    }
    out->Resize(out->size() - pad);
    return true;
}

bool ParseUuid(std::string_view text, unsigned char* out) {
    if (text.size() != 36) return false;
    size_t n = 0;
    for (size_t i = 0; i < 36;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-') return false;
            continue;
        }
        const int high = HexDigit(text[i]), low = HexDigit(text[i + 1]);
        if (high < 0 || low < 0) return false;
        out[n++] = static_cast<unsigned char>(high << 4 | low);
        i += 2;
    }
    return true;
}

void AppendUuidText(const unsigned char* bytes, Bytes* out) {
    constexpr char kHex[] = "0123456789abcdef";
    for (int i = 0; i < 16; ++i) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out->Append('-');
        out->Append(kHex[bytes[i] >> 4]);
        out->Append(kHex[bytes[i] & 15]);
    }
}

bool ParseObjectId(std::string_view text, int64_t* seconds) {
    if (text.size() != 24) return false;
    const char* p = text.data();
    int64_t v = 0;
    int any = 0;  // negative once some byte was no digit
    for (size_t i = 0; i < 8; ++i) {
        const int digit = HexDigit(p[i]);
        any |= digit;
        v = v << 4 | (digit & 15);
    }
    for (size_t i = 8; i < 24; ++i) any |= HexDigit(p[i]);
    *seconds = v;
    return any >= 0;
}

}  // namespace vm
