#include "core/short_numeric.h"

#include "core/bytes.h"

namespace vm {

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__

namespace {

constexpr uint64_t kZeros = 0x3030303030303030;  // eight digits "0"

// Eight digits less "0" each, the first in the lowest byte, as two groups of four, the first in the lower
// half.
uint64_t TwoGroups(uint64_t digits) {
    const uint64_t twos = (digits * 10 + (digits >> 8)) & 0x00FF00FF00FF00FF;
    return (twos * 100 + (twos >> 16)) & 0x0000FFFF0000FFFF;
}

// Not zero if one of eight bytes is more than 9.
uint64_t NoDigits(uint64_t digits) {
    return (digits | (digits + 0x7676767676767676)) & 0x8080808080808080;
}

uint64_t Load(const char* text) {
    uint64_t v;
    std::memcpy(&v, text, sizeof(v));
    return v;
}

// The last `len` of eight digits, one at least, zeroes before them.
uint64_t Last(const char* text, size_t len) {
    return (Load(text) ^ kZeros) << (64 - 8 * len);
}

// The first ones, zeroes behind them.
uint64_t First(const char* text, size_t len) {
    return (Load(text) ^ kZeros) & (~uint64_t{0} >> (64 - 8 * len));
}

// Writes four groups, of which `whole` are before the point, without the zeroes around them.
size_t PutGroups(uint64_t high, uint64_t low, unsigned whole, bool negative, size_t scale, char* to) {
    const uint16_t group[4] = {static_cast<uint16_t>(high), static_cast<uint16_t>(high >> 32),
                               static_cast<uint16_t>(low), static_cast<uint16_t>(low >> 32)};
    unsigned first = 0, last = 4;
    while (first < 4 && group[first] == 0) ++first;
    while (last > first && group[last - 1] == 0) --last;
    const unsigned n = last - first;
    const uint32_t header = VarlenaHeader(6 + n * 2);
    uint16_t head = static_cast<uint16_t>(0x8000 | scale << 7);
    if (n > 0)  // the sign, and a weight of seven bits
        head = static_cast<uint16_t>(head | (negative ? 0x2000 : 0) | ((whole - 1 - first) & 0x7F));
    std::memcpy(to, &header, 4);
    std::memcpy(to + 4, &head, 2);
    for (unsigned i = 0; i < n; ++i) std::memcpy(to + 6 + i * 2, &group[first + i], 2);
    return 6 + n * 2;
}

}  // namespace

size_t ShortNumeric(const char* text, size_t len, char* to) {
    const bool negative = *text == '-';
    text += negative;
    len -= negative;
    if (len - 1 > 16) return 0;
    if (len <= 8) {
        const uint64_t digits = Last(text, len);
        if (NoDigits(digits) == 0) {
            const uint64_t groups = TwoGroups(digits);
            if (groups <= UINT32_MAX || static_cast<uint16_t>(groups) != 0)
                return PutGroups(0, groups, 4, negative, 0, to);
            // One group, as it is for most numbers: all eight bytes at once.
            const uint64_t whole = groups << 16 | uint64_t{negative ? 0xA000u : 0x8000u} << 32;
            const uint64_t stored = whole | VarlenaHeader(8);
            std::memcpy(to, &stored, 8);
            return 8;
        }
    } else if (len <= 16) {
        const uint64_t high = Last(text, len - 8), low = Load(text + len - 8) ^ kZeros;
        if ((NoDigits(high) | NoDigits(low)) == 0)
            return PutGroups(TwoGroups(high), TwoGroups(low), 4, negative, 0, to);
    }
    size_t whole = 0;
    while (whole < len && text[whole] != '.') ++whole;
    const size_t scale = len - whole - 1;
    if (whole - 1 > 7 || scale - 1 > 7) return 0;
    const uint64_t high = Last(text, whole), low = First(text + whole + 1, scale);
    if ((NoDigits(high) | NoDigits(low)) != 0) return 0;
    return PutGroups(TwoGroups(high), TwoGroups(low), 2, negative, scale, to);
}

#else

size_t ShortNumeric(const char*, size_t, char*) {
    return 0;
}

#endif

}  // namespace vm
