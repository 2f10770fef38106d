// Points in time as int64 microseconds since 2000-01-01 00:00 UTC, the server's timestamptz. Integer
// arithmetic only; no time zone but UTC and the offset that stands in the text, no locale, no DateStyle.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/bytes.h"
#include "core/problem.h"

namespace vm {

constexpr int64_t kMicrosPerSecond = 1000000;
constexpr int64_t kMicrosPerDay = 86400 * kMicrosPerSecond;
constexpr int64_t kEpochOffsetSeconds = 946684800;  // 1970-01-01 to 2000-01-01
constexpr int64_t kTimeInfinity = INT64_MAX;        // as the server stores 'infinity' and '-infinity'
constexpr int64_t kTimeMinusInfinity = INT64_MIN;

// Unix milliseconds or seconds. TimeRange outside 4714-11-24 BC … 294276-12-31.
Reason TimeFromMillis(int64_t ms, int64_t* out);
Reason TimeFromSeconds(int64_t seconds, int64_t* out);

// ISO 8601 (date, or date and time separated by T or a blank; fraction rounded half up to microseconds; Z,
// ±hh, ±hhmm, ±hh:mm, or nothing for UTC) and RFC 1123 (Fri, 06 Dec 2019 16:07:44 GMT). InvalidTime for any
// other text, TimeRange for a day or hour that does not exist.
Reason TimeFromText(std::string_view text, int64_t* out);

// hh:mm[:ss[.fraction]] as microseconds since midnight.
Reason ClockFromText(std::string_view text, int64_t* out);

// Days since 2000-01-01, rounded down; infinities stay.
int64_t DayOf(int64_t micros);

// Appends YYYY-MM-DDTHH:MM:SS.mmmZ (six digits if there are microseconds). False, and nothing appended,
// outside the years 1 to 9999.
bool AppendIsoUtc(int64_t micros, Bytes* out);

}  // namespace vm
