#include "core/datetime.h"

#include <cstdio>

namespace vm {

namespace {

// The server's own range: [MIN_TIMESTAMP, END_TIMESTAMP) in microseconds.
constexpr int64_t kMinTime = INT64_C(-211813488000000000);
constexpr int64_t kEndTime = INT64_C(9223371331200000000);
// The Gregorian day numbers below count from 0000-03-01.
constexpr int64_t kDays2000 = 730425;

int64_t DaysFromCivil(int64_t y, int m, int d) {
    y -= m <= 2;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t yoe = y - era * 400;
    const int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - kDays2000;
}

void CivilFromDays(int64_t days, int64_t* y, int* m, int* d) {
    days += kDays2000;
    const int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    const int64_t doe = days - era * 146097;
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t mp = (5 * doy + 2) / 153;
    *d = static_cast<int>(doy - (153 * mp + 2) / 5 + 1);
    *m = static_cast<int>(mp < 10 ? mp + 3 : mp - 9);
    *y = yoe + era * 400 + (*m <= 2);
}

bool IsLeap(int64_t y) {
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

int DaysInMonth(int64_t y, int m) {
    constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return m == 2 && IsLeap(y) ? 29 : kDays[m - 1];
}

bool IsDigit(char c) {
    return c >= '0' && c <= '9';
}

// A place in the text; every step says whether it fitted.
struct Cursor {
    const char* p;
    const char* end;

    bool AtEnd() const { return p == end; }
    bool Take(char c) {
        if (p == end || *p != c) return false;
        ++p;
        return true;
    }
    // Between `least` and `most` digits.
    bool Number(int least, int most, int64_t* out) {
        int n = 0;
        int64_t v = 0;
        while (p < end && IsDigit(*p) && n < most) {
            v = v * 10 + (*p++ - '0');
            ++n;
        }
        *out = v;
        return n >= least;
    }
    bool Two(int* out) {
        int64_t v;
        if (!Number(2, 2, &v)) return false;
        *out = static_cast<int>(v);
        return true;
    }
};

struct Clock {
    int hour = 0, minute = 0, second = 0;
    int64_t micros = 0;

    bool Valid() const {
        if (hour == 24) return minute == 0 && second == 0 && micros == 0;
        return hour < 24 && minute < 60 && second <= 60 && Total() <= kMicrosPerDay;
    }
    int64_t Total() const {
        return ((hour * 60 + minute) * INT64_C(60) + second) * kMicrosPerSecond + micros;
    }
};

// The digits after a decimal point as microseconds; the seventh rounds.
bool Fraction(Cursor* c, int64_t* micros) {
    int n = 0;
    int64_t v = 0;
    bool up = false;
    for (; c->p < c->end && IsDigit(*c->p); ++c->p, ++n) {
        if (n < 6)
            v = v * 10 + (*c->p - '0');
        else if (n == 6)
            up = *c->p >= '5';
    }
    if (n == 0) return false;
    for (; n < 6; ++n) v *= 10;
    *micros = v + up;
    return true;
}

bool ReadClock(Cursor* c, Clock* clock) {
    if (!c->Two(&clock->hour) || !c->Take(':') || !c->Two(&clock->minute)) return false;
    if (!c->Take(':')) return true;
    if (!c->Two(&clock->second)) return false;
    return !c->Take('.') || Fraction(c, &clock->micros);
}

// Z, ±hh, ±hhmm, ±hh:mm or nothing, as seconds east of UTC.
bool ReadOffset(Cursor* c, int* seconds, bool* in_range) {
    *seconds = 0;
    *in_range = true;
    if (c->AtEnd() || c->Take('Z') || c->Take('z')) return true;
    const bool west = *c->p == '-';
    if (!c->Take('+') && !c->Take('-')) return false;
    int hours = 0, minutes = 0;
    if (!c->Two(&hours)) return false;
    if (!c->AtEnd()) {
        c->Take(':');
        if (!c->Two(&minutes)) return false;
    }
    *in_range = hours <= 15 && minutes < 60;
    *seconds = (hours * 60 + minutes) * 60 * (west ? -1 : 1);
    return true;
}

Reason Assemble(int64_t year, int month, int day, const Clock& clock, int offset, int64_t* out) {
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > DaysInMonth(year, month) || !clock.Valid())
        return Reason::TimeRange;
    int64_t days = DaysFromCivil(year, month, day), t;
    if (__builtin_mul_overflow(days, kMicrosPerDay, &t) ||
        __builtin_add_overflow(t, clock.Total() - offset * kMicrosPerSecond, &t) || t < kMinTime ||
        t >= kEndTime)
        return Reason::TimeRange;
    *out = t;
    return Reason::None;
}

int MonthByName(std::string_view name) {
    constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const size_t at = kMonths.find(name);
    return name.size() == 3 && at != std::string_view::npos && at % 3 == 0 ? static_cast<int>(at / 3) + 1 : 0;
}

// [Fri, ]06 Dec 2019 16:07:44 (GMT|UTC|±hhmm)
Reason FromRfc1123(Cursor c, int64_t* out) {
    if (c.end - c.p > 5 && c.p[3] == ',') {
        constexpr std::string_view kDays = "MonTueWedThuFriSatSun";
        const size_t at = kDays.find(std::string_view(c.p, 3));
        if (at == std::string_view::npos || at % 3 != 0) return Reason::InvalidTime;
        c.p += 4;
        if (!c.Take(' ')) return Reason::InvalidTime;
    }
    int64_t day, year;
    if (!c.Number(1, 2, &day) || !c.Take(' ') || c.end - c.p < 4) return Reason::InvalidTime;
    const int month = MonthByName({c.p, 3});
    if (month == 0) return Reason::InvalidTime;
    c.p += 3;
    Clock clock;
    if (!c.Take(' ') || !c.Number(4, 4, &year) || !c.Take(' ') || !ReadClock(&c, &clock) || !c.Take(' '))
        return Reason::InvalidTime;
    const std::string_view zone(c.p, static_cast<size_t>(c.end - c.p));
    int offset = 0;
    bool in_range = true;
    if (zone != "GMT" && zone != "UTC" && (!ReadOffset(&c, &offset, &in_range) || !c.AtEnd() || zone.empty()))
        return Reason::InvalidTime;
    if (!in_range) return Reason::TimeRange;
    return Assemble(year, month, static_cast<int>(day), clock, offset, out);
}

std::string_view Trim(std::string_view s) {
    while (!s.empty() && (s.front() == ' ' || s.front() == '\t' || s.front() == '\n' || s.front() == '\r'))
        s.remove_prefix(1);
    while (!s.empty() && (s.back() == ' ' || s.back() == '\t' || s.back() == '\n' || s.back() == '\r'))
        s.remove_suffix(1);
    return s;
}

}  // namespace

Reason TimeFromMillis(int64_t ms, int64_t* out) {
    int64_t t;
    if (__builtin_mul_overflow(ms, INT64_C(1000), &t) ||
        __builtin_sub_overflow(t, kEpochOffsetSeconds * kMicrosPerSecond, &t)) {
        // The last years of the range overflow on the way, not in the result.
        if (__builtin_sub_overflow(ms, kEpochOffsetSeconds * 1000, &t) ||
            __builtin_mul_overflow(t, INT64_C(1000), &t))
            return Reason::TimeRange;
    }
    if (t < kMinTime || t >= kEndTime) return Reason::TimeRange;
    *out = t;
    return Reason::None;
}

Reason TimeFromSeconds(int64_t seconds, int64_t* out) {
    int64_t ms;
    return __builtin_mul_overflow(seconds, INT64_C(1000), &ms) ? Reason::TimeRange : TimeFromMillis(ms, out);
}

Reason TimeFromText(std::string_view text, int64_t* out) {
    text = Trim(text);
    Cursor c{text.data(), text.data() + text.size()};
    int64_t year;
    if (!c.Number(4, 6, &year)) return FromRfc1123({text.data(), text.data() + text.size()}, out);
    int month, day, offset = 0;
    bool in_range = true;
    Clock clock;
    if (!c.Take('-') || !c.Two(&month) || !c.Take('-') || !c.Two(&day)) return Reason::InvalidTime;
    if (!c.AtEnd()) {
        if (!c.Take('T') && !c.Take(' ') && !c.Take('t')) return Reason::InvalidTime;
        if (!ReadClock(&c, &clock)) return Reason::InvalidTime;
        c.Take(' ');
        if (!ReadOffset(&c, &offset, &in_range) || !c.AtEnd()) return Reason::InvalidTime;
    }
    if (!in_range) return Reason::TimeRange;
    return Assemble(year, month, day, clock, offset, out);
}

Reason ClockFromText(std::string_view text, int64_t* out) {
    text = Trim(text);
    Cursor c{text.data(), text.data() + text.size()};
    Clock clock;
    if (!ReadClock(&c, &clock) || !c.AtEnd()) return Reason::InvalidTime;
    if (!clock.Valid()) return Reason::TimeRange;
    *out = clock.Total();
    return Reason::None;
}

int64_t DayOf(int64_t micros) {
    const int64_t day = micros / kMicrosPerDay;
    return micros % kMicrosPerDay < 0 ? day - 1 : day;
}

bool AppendIsoUtc(int64_t micros, Bytes* out) {
    const int64_t day = DayOf(micros);
    int64_t rest = micros - day * kMicrosPerDay, year;
    int month, mday;
    CivilFromDays(day, &year, &month, &mday);
    if (year < 1 || year > 9999) return false;
    const int fraction = static_cast<int>(rest % kMicrosPerSecond);
    const int seconds = static_cast<int>(rest / kMicrosPerSecond);
    char text[40];
    int n = std::snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.", static_cast<int>(year), month,
                          mday, seconds / 3600, seconds / 60 % 60, seconds % 60);
    n += fraction % 1000 == 0
             ? std::snprintf(text + n, sizeof(text) - static_cast<size_t>(n), "%03dZ", fraction / 1000)
             : std::snprintf(text + n, sizeof(text) - static_cast<size_t>(n), "%06dZ", fraction);
    out->Append(std::string_view(text, static_cast<size_t>(n)));
    return true;
}

}  // namespace vm
