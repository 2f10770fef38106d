#include "core/decimal.h"

#include <algorithm>
#include <climits>
#include <cstring>

namespace vm {

namespace {

// Limits of the server's numeric.
constexpr int64_t kMaxScale = 16383;           // digits after the point
constexpr int64_t kMaxWeight = 32767;          // of the first base-10000 digit
constexpr int64_t kMaxExponent = INT_MAX / 2;  // as numeric_in refuses it, zero or not
constexpr int kShortScale = 63;                // the short header's fields
constexpr int kShortWeightMin = -64, kShortWeightMax = 63;

bool IsDigit(char c) {
    return c >= '0' && c <= '9';
}

bool IsBlank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view Trim(std::string_view s) {
    while (!s.empty() && IsBlank(s.front())) s.remove_prefix(1);
    while (!s.empty() && IsBlank(s.back())) s.remove_suffix(1);
    return s;
}

bool EqualNoCase(std::string_view s, std::string_view lower) {
    if (s.size() != lower.size()) return false;
    for (size_t i = 0; i < s.size(); ++i)
        if ((s[i] | 0x20) != lower[i]) return false;
    return true;
}

// Digits after the point that numeric keeps and prints.
int64_t Scale(const Decimal& d) {
    return std::max<int64_t>(0, static_cast<int64_t>(d.fraction.size()) - d.exponent);
}

// The digits of a number in one row, without leading zeros.
struct Digits {
    std::string_view first, second;
    explicit Digits(const Decimal& d) : first(d.whole), second(d.fraction) {
        if (first.empty())
            while (!second.empty() && second.front() == '0') second.remove_prefix(1);
    }
    size_t size() const { return first.size() + second.size(); }
    int operator[](size_t i) const { return (i < first.size() ? first[i] : second[i - first.size()]) - '0'; }
};

// Decimal digits before the point once the exponent is applied; negative when zeros follow the point.
int64_t PointOf(const Decimal& d, const Digits& digits) {
    return static_cast<int64_t>(digits.size()) - static_cast<int64_t>(d.fraction.size()) + d.exponent;
}

int64_t FloorDiv4(int64_t x) {
    return x >= 0 ? x / 4 : -((-x + 3) / 4);
}

void AppendHeader(bool negative, int64_t scale, int64_t weight, size_t ndigits, Bytes* out) {
    const bool is_short = scale <= kShortScale && weight >= kShortWeightMin && weight <= kShortWeightMax;
    const uint32_t size = static_cast<uint32_t>(4 + (is_short ? 2 : 4) + ndigits * 2);
    out->AppendU32(VarlenaHeader(size));
    uint16_t head[2];
    if (is_short) {
        head[0] = static_cast<uint16_t>(0x8000 | (negative ? 0x2000 : 0) | (scale << 7) |
                                        (weight < 0 ? 0x40 : 0) | (weight & 0x3F));
        std::memcpy(out->Extend(2), head, 2);
    } else {
        head[0] = static_cast<uint16_t>((negative ? 0x4000 : 0) | scale);
        head[1] = static_cast<uint16_t>(weight);
        std::memcpy(out->Extend(4), head, 4);
    }
}

// Whole numbers of up to 18 digits.
void AppendSmallInteger(bool negative, uint64_t v, Bytes* out) {
    int16_t group[5];
    int n = 0, zeros = 0;
    for (; v != 0; v /= 10000) group[n++] = static_cast<int16_t>(v % 10000);
    while (zeros < n && group[zeros] == 0) ++zeros;
    AppendHeader(negative && n > 0, 0, n > 0 ? n - 1 : 0, static_cast<size_t>(n - zeros), out);
    int16_t digits[5];
    for (int i = 0; i < n - zeros; ++i) digits[i] = group[n - 1 - i];
    if (n > zeros)
        std::memcpy(out->Extend(static_cast<size_t>(n - zeros) * 2), digits,
                    static_cast<size_t>(n - zeros) * 2);
}

}  // namespace

bool ParseDecimal(std::string_view text, bool loose, Decimal* out) {
    if (loose) text = Trim(text);
    const char* p = text.data();
    const char* end = p + text.size();
    Decimal d;
    if (p < end && (*p == '-' || (loose && *p == '+'))) d.negative = *p++ == '-';
    const char* start = p;
    while (p < end && IsDigit(*p)) ++p;
    const char* whole_end = p;
    while (start < whole_end && *start == '0') ++start;
    d.whole = {start, static_cast<size_t>(whole_end - start)};
    bool any = whole_end != text.data() && IsDigit(whole_end[-1]);
    if (p < end && *p == '.') {
        start = ++p;
        while (p < end && IsDigit(*p)) ++p;
        d.fraction = {start, static_cast<size_t>(p - start)};
        any = any || !d.fraction.empty();
    }
    if (!any) return false;
    if (p < end && (*p | 0x20) == 'e') {
        bool minus = false;
        ++p;
        if (p < end && (*p == '-' || *p == '+')) minus = *p++ == '-';
        if (p == end || !IsDigit(*p)) return false;
        int64_t e = 0;
        for (; p < end && IsDigit(*p); ++p)
            if (e < INT64_C(1000000000000)) e = e * 10 + (*p - '0');
        d.exponent = minus ? -e : e;
    }
    if (p != end) return false;
    *out = d;
    return true;
}

bool ParseSpecial(std::string_view text, Special* out) {
    text = Trim(text);
    if (EqualNoCase(text, "nan")) {
        *out = Special::NaN;
        return true;
    }
    bool minus = false;
    if (!text.empty() && (text.front() == '-' || text.front() == '+')) {
        minus = text.front() == '-';
        text.remove_prefix(1);
    }
    if (!EqualNoCase(text, "infinity") && !EqualNoCase(text, "inf")) return false;
    *out = minus ? Special::MinusInfinity : Special::Infinity;
    return true;
}

bool FitsNumeric(const Decimal& d) {
    if (d.exponent >= kMaxExponent || d.exponent <= -kMaxExponent) return false;
    if (Scale(d) > kMaxScale) return false;
    const Digits digits(d);
    if (digits.size() == 0) return true;
    return FloorDiv4(PointOf(d, digits) - 1) <= kMaxWeight;
}

bool NumberFitsNumeric(std::string_view text) {
    // The shortest numbers that do not fit are 1e131072 and 1e-16384; without an exponent it takes 16384
    // digits.
    if (text.size() < 8) return true;
    if (text.size() < 16384 &&
        std::none_of(text.begin(), text.end(), [](char c) { return (c | 0x20) == 'e'; }))
        return true;
    Decimal d;
    return ParseDecimal(text, false, &d) && FitsNumeric(d);
}

void AppendNumericText(const Decimal& d, Bytes* out) {
    const Digits digits(d);
    const int64_t n = static_cast<int64_t>(digits.size());
    const int64_t point = n == 0 ? 0 : PointOf(d, digits);
    const int64_t scale = Scale(d);
    bool zero = true;
    for (int64_t i = 0; i < n && zero; ++i) zero = digits[static_cast<size_t>(i)] == 0;
    if (d.negative && !zero) out->Append('-');
    const auto digit_at = [&](int64_t i) {
        return static_cast<char>('0' + (i >= 0 && i < n ? digits[static_cast<size_t>(i)] : 0));
    };
    if (point <= 0) out->Append('0');
    for (int64_t i = 0; i < point; ++i) out->Append(digit_at(i));
    if (scale > 0) out->Append('.');
    for (int64_t i = 0; i < scale; ++i) out->Append(digit_at(point + i));
}

void AppendNumeric(const Decimal& d, Bytes* out) {
    const Digits digits(d);
    int64_t n = static_cast<int64_t>(digits.size());
    while (n > 0 && digits[static_cast<size_t>(n - 1)] == 0) --n;
    if (n == 0) {
        AppendHeader(false, Scale(d), 0, 0, out);
        return;
    }
    // Base-10000 digits stand on multiples of four around the point.
    const int64_t point = PointOf(d, digits);
    const int64_t weight = FloorDiv4(point - 1);
    const int64_t lead = (weight + 1) * 4 - point;  // zeros before the first decimal digit
    const int64_t groups = (n + lead + 3) / 4;
    AppendHeader(d.negative, Scale(d), weight, static_cast<size_t>(groups), out);
    char* to = out->Extend(static_cast<size_t>(groups) * 2);
    for (int64_t g = 0; g < groups; ++g) {
        int16_t v = 0;
        for (int64_t i = g * 4 - lead; i < g * 4 - lead + 4; ++i)
            v = static_cast<int16_t>(v * 10 + (i >= 0 && i < n ? digits[static_cast<size_t>(i)] : 0));
        std::memcpy(to + g * 2, &v, 2);
    }
}

void AppendNumericFromJson(std::string_view text, Bytes* out) {
    int64_t small;
    if (ParseSmallInteger(text, &small)) {
        AppendSmallInteger(small < 0, static_cast<uint64_t>(small < 0 ? -small : small), out);
        return;
    }
    Decimal d;
    ParseDecimal(text, false, &d);
    AppendNumeric(d, out);
}

void AppendNumericSpecial(Special s, Bytes* out) {
    const uint16_t head = s == Special::NaN ? 0xC000 : s == Special::Infinity ? 0xD000 : 0xF000;
    out->AppendU32(VarlenaHeader(6));
    std::memcpy(out->Extend(2), &head, 2);
}

bool ReadSmallNumeric(const char* datum, int64_t* out) {
    uint32_t header;
    uint16_t head;
    std::memcpy(&header, datum, 4);
    std::memcpy(&head, datum + 4, 2);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint32_t size = header >> 2;
#else
    const uint32_t size = header & 0x3FFFFFFF;
#endif
    const uint32_t ndigits = (size - 6) / 2;
    const uint32_t weight = head & 0x3F;
    // Short form, no digits after the point, weight not negative, all within 16 decimal digits.
    if ((head & 0xC000) != 0x8000 || (head & 0x1FC0) != 0 || weight > 3 || ndigits > weight + 1) return false;
    int64_t v = 0;
    for (uint32_t i = 0; i <= weight; ++i) {
        int16_t digit = 0;
        if (i < ndigits) std::memcpy(&digit, datum + 6 + i * 2, 2);
        v = v * 10000 + digit;
    }
    *out = (head & 0x2000) != 0 ? -v : v;
    return true;
}

namespace {

// The digits before the point, and what follows it.
struct Parts {
    bool fraction = false;  // some digit after the point is not zero
    bool half_or_more = false;
    bool too_long = false;  // more than 19 digits before the point
    uint64_t magnitude = 0;
};

Parts Split(const Decimal& d) {
    Parts parts;
    const Digits digits(d);
    const int64_t n = static_cast<int64_t>(digits.size());
    const int64_t point = PointOf(d, digits);
    for (int64_t i = 0; i < n; ++i) {
        const int digit = digits[static_cast<size_t>(i)];
        if (i < point) {
            if (parts.magnitude > (UINT64_MAX - 9) / 10) parts.too_long = true;
            if (!parts.too_long) parts.magnitude = parts.magnitude * 10 + static_cast<uint64_t>(digit);
        } else if (digit != 0) {
            parts.fraction = true;
        }
        if (i == point && digit >= 5) parts.half_or_more = true;
    }
    if (parts.magnitude != 0)
        for (int64_t i = n; i < point && !parts.too_long; ++i) {
            if (parts.magnitude > (UINT64_MAX - 9) / 10)
                parts.too_long = true;
            else
                parts.magnitude *= 10;
        }
    return parts;
}

}  // namespace

ToInt DecimalToInt(const Decimal& d, Rounding rounding, int64_t min, int64_t max, int64_t* out) {
    Parts parts = Split(d);
    if (parts.fraction) {
        if (rounding == Rounding::Exact) return ToInt::HasFraction;
        const bool away = rounding == Rounding::HalfAway ? parts.half_or_more : d.negative;
        if (away && !parts.too_long) parts.magnitude += 1;
    }
    if (parts.too_long) return ToInt::OutOfRange;
    if (min > 0 && (d.negative || parts.magnitude < static_cast<uint64_t>(min))) return ToInt::OutOfRange;
    const uint64_t most = d.negative ? static_cast<uint64_t>(-(min + 1)) + 1 : static_cast<uint64_t>(max);
    if (parts.magnitude > most) return ToInt::OutOfRange;
    *out = d.negative ? static_cast<int64_t>(~parts.magnitude + 1) : static_cast<int64_t>(parts.magnitude);
    return ToInt::Ok;
}

void AppendFloorText(const Decimal& d, Bytes* out) {
    const Digits digits(d);
    const int64_t n = static_cast<int64_t>(digits.size());
    const int64_t point = PointOf(d, digits);
    bool fraction = false;
    for (int64_t i = std::max<int64_t>(point, 0); i < n && !fraction; ++i)
        fraction = digits[static_cast<size_t>(i)] != 0;

    const size_t start = out->size();
    out->Append(d.negative ? '-' : '0');  // a place for the sign or for a carry
    bool zero = true;
    for (int64_t i = 0; i < point; ++i) {
        const int digit = i < n ? digits[static_cast<size_t>(i)] : 0;
        zero = zero && digit == 0;
        out->Append(static_cast<char>('0' + digit));
    }
    if (point <= 0) out->Append('0');
    if (d.negative && fraction) {  // away from zero by one
        size_t i = out->size();
        while (--i > start && out->data()[i] == '9') out->data()[i] = '0';
        if (i > start) {
            ++out->data()[i];
        } else {
            out->Append('0');
            out->data()[start + 1] = '1';
        }
        zero = false;
    }
    if (!d.negative || zero) {  // drop the place of the sign
        std::memmove(out->data() + start, out->data() + start + 1, out->size() - start - 1);
        out->Resize(out->size() - 1);
    }
}

}  // namespace vm
