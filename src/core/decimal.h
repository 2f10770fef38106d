// Decimal numbers by their text, exactly: never through a double unless a float column is the target.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"

namespace vm {

// A finite decimal: ±0.d1d2d3… × 10^point, d1 and the last digit non-zero; zero has no digits.
// `whole` and `fraction` are the digits as written, around the decimal point, leading zeros gone.
struct Decimal {
    bool negative = false;
    std::string_view whole;
    std::string_view fraction;
    int64_t exponent = 0;  // as written, ±10^12 at most
};

enum class Special : uint8_t { None, NaN, Infinity, MinusInfinity };

// Splits a JSON number or, with `loose`, whatever numeric_in takes in decimal: blanks around it, a plus sign,
// ".5" and "5.". False if it is no number.
bool ParseDecimal(std::string_view text, bool loose, Decimal* out);

// NaN, Infinity, inf and their signs, as numeric_in spells them, blanks around them.
bool ParseSpecial(std::string_view text, Special* out);

// Whether numeric can hold a JSON number; false means 22003.
bool NumberFitsNumeric(std::string_view json_number);

// Whether numeric can hold it (at most 131072 digits before and 16383 after the point).
bool FitsNumeric(const Decimal& d);

// Appends the number as numeric_out prints it: 1E2 as 100, -0 as 0, 1.50e-2 as 0.0150. Requires FitsNumeric.
void AppendNumericText(const Decimal& d, Bytes* out);

// A plain whole number of at most 18 digits, the most of what documents hold. False for anything else.
inline bool ParseSmallInteger(std::string_view text, int64_t* out) {
    const char* p = text.data();
    const char* end = p + text.size();
    const bool negative = p < end && *p == '-';
    p += negative;
    if (p == end || end - p > 18) return false;
    int64_t v = 0;
    for (; p < end; ++p) {
        const unsigned digit = static_cast<unsigned char>(*p) - '0';
        if (digit > 9) return false;
        v = v * 10 + digit;
    }
    *out = negative ? -v : v;
    return true;
}

// Appends numeric's stored form with a 4-byte varlena header. Requires FitsNumeric.
void AppendNumeric(const Decimal& d, Bytes* out);
void AppendNumericFromJson(std::string_view json_number, Bytes* out);
void AppendNumericSpecial(Special s, Bytes* out);

// The value of a stored numeric with a 4-byte header, if it is a whole number of at most 16 digits written
// without digits after the point. False for any other.
bool ReadSmallNumeric(const char* datum, int64_t* out);

enum class Rounding : uint8_t { Exact, HalfAway, Floor };
enum class ToInt : uint8_t { Ok, HasFraction, OutOfRange };

// The number as an int64, within [min, max].
ToInt DecimalToInt(const Decimal& d, Rounding rounding, int64_t min, int64_t max, int64_t* out);

// Appends floor(d) as decimal text, with sign: "-2" for -1.5. Requires FitsNumeric.
void AppendFloorText(const Decimal& d, Bytes* out);

}  // namespace vm
