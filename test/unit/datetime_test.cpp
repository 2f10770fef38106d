#include "core/datetime.h"

#include "helpers.h"

namespace vm {
namespace {

constexpr int64_t kT = 1575648464 - kEpochOffsetSeconds;  // 2019-12-06 16:07:44 UTC
constexpr int64_t kMicros = kT * kMicrosPerSecond;

std::string Millis(int64_t ms) {
    int64_t t = 0;
    const Reason reason = TimeFromMillis(ms, &t);
    return reason == Reason::None ? std::to_string(t) : Info(reason).sqlstate;
}

std::string Text(std::string_view text) {
    int64_t t = 0;
    const Reason reason = TimeFromText(text, &t);
    return reason == Reason::None ? std::to_string(t) : Info(reason).sqlstate;
}

std::string Clock(std::string_view text) {
    int64_t t = 0;
    const Reason reason = ClockFromText(text, &t);
    return reason == Reason::None ? std::to_string(t) : Info(reason).sqlstate;
}

std::string Iso(int64_t micros) {
    Bytes out;
    const bool done = AppendIsoUtc(micros, &out);
    EXPECT_EQ(done, out.size() != 0);
    return done ? vm_test::Str(out) : "none";
}

TEST(TimeFromMillisTest, IsExactToTheEndsOfTheRange) {
    EXPECT_EQ(Millis(0), "-946684800000000");
    EXPECT_EQ(Millis(-1), "-946684800001000");
    EXPECT_EQ(Millis(1575648464999), std::to_string(kMicros + 999000));
    EXPECT_EQ(Millis(-210866803200000), "-211813488000000000");
    EXPECT_EQ(Millis(-210866803200001), "22008");
    EXPECT_EQ(Millis(9224318015999999), "9223371331199999000");
    EXPECT_EQ(Millis(9224318016000000), "22008");
    EXPECT_EQ(Millis(INT64_MAX), "22008");
    EXPECT_EQ(Millis(INT64_MIN), "22008");
    int64_t t;
    EXPECT_EQ(TimeFromSeconds(4294967295, &t), Reason::None);
    EXPECT_EQ(t, (4294967295 - kEpochOffsetSeconds) * kMicrosPerSecond);
    EXPECT_EQ(TimeFromSeconds(INT64_MAX, &t), Reason::TimeRange);
}

TEST(TimeFromTextTest, IsoInEveryForm) {
    const std::string expected = std::to_string(kMicros + 123000);
    for (const char* text :
         {"2019-12-06T16:07:44.123Z", "2019-12-06T16:07:44.123z", "2019-12-06 16:07:44.123",
          "2019-12-06t16:07:44.123", "2019-12-06T16:07:44.123+00:00", "2019-12-06T09:07:44.123-0700",
          "2019-12-06T18:07:44.123+02", "2019-12-06T21:37:44.123+05:30", " 2019-12-06T16:07:44.123000Z\n",
          "2019-12-06 16:07:44.123 +00", "002019-12-06T16:07:44.123Z"})
        EXPECT_EQ(Text(text), expected) << text;
    EXPECT_EQ(Text("2019-12-06"), std::to_string(kMicros - (16 * 3600 + 7 * 60 + 44) * kMicrosPerSecond));
    EXPECT_EQ(Text("2019-12-06T16:07Z"), std::to_string(kMicros - 44 * kMicrosPerSecond));
    EXPECT_EQ(Text("2019-12-05T24:00:00Z"), Text("2019-12-06"));
    EXPECT_EQ(Text("2016-12-31T23:59:60Z"), Text("2017-01-01"));
}

TEST(TimeFromTextTest, FractionsRoundHalfUpToMicroseconds) {
    EXPECT_EQ(Text("2000-01-01T00:00:00.1Z"), "100000");
    EXPECT_EQ(Text("2000-01-01T00:00:00.123456Z"), "123456");
    EXPECT_EQ(Text("2000-01-01T00:00:00.1234564Z"), "123456");
    EXPECT_EQ(Text("2000-01-01T00:00:00.1234565Z"), "123457");
    EXPECT_EQ(Text("2000-01-01T00:00:00.9999999Z"), "1000000");
    EXPECT_EQ(Text("1999-12-31T23:59:59.9999999999999999999999Z"), "0");
}

TEST(TimeFromTextTest, Rfc1123) {
    const std::string expected = std::to_string(kMicros);
    for (const char* text : {"Fri, 06 Dec 2019 16:07:44 GMT", "06 Dec 2019 16:07:44 UTC",
                             "6 Dec 2019 16:07:44 +0000", "Fri, 06 Dec 2019 09:07:44 -0700"})
        EXPECT_EQ(Text(text), expected) << text;
    for (const char* text :
         {"Fry, 06 Dec 2019 16:07:44 GMT", "Fri, 06 dec 2019 16:07:44 GMT", "06 Dec 19 16:07:44 GMT",
          "06 Dec 2019 16:07:44", "06 Dec 2019 16:07:44 CET", "06 Dec 2019 16:07:44 ", "Fri,",
          "riM, 06 Dec 2019 16:07:44 GMT", "06 anF 2019 16:07:44 GMT"})
        EXPECT_EQ(Text(text), "22007") << text;
    EXPECT_EQ(Text("31 Feb 2019 16:07:44 GMT"), "22008");
}

TEST(TimeFromTextTest, RefusesWordsAndLocalOrder) {
    for (const char* text : {"",
                             " ",
                             "now",
                             "today",
                             "infinity",
                             "-infinity",
                             "epoch",
                             "12/06/2019",
                             "06.12.2019",
                             "2019-12-6",
                             "2019-1-06",
                             "20191206T160744Z",
                             "2019-12-06T",
                             "2019-12-06T16",
                             "2019-12",
                             "2019-12-06T16:07:44.Z",
                             "2019-12-06T16:07:44,5Z",
                             "2019-12-06T16:07:44+",
                             "2019-12-06Z",
                             "2019-12-06T16:07:44+02:",
                             "2019-12-06T16:07:44 CET",
                             "2019-12-06T16:07:44ZZ",
                             "+010000-01-01T00:00:00Z",
                             "-000001-01-01T00:00:00Z",
                             "2019-12-06 04:07 PM",
                             "1234567-01-01"})
        EXPECT_EQ(Text(text), "22007") << text;
}

TEST(TimeFromTextTest, RefusesDaysAndHoursThatDoNotExist) {
    for (const char* text :
         {"2019-02-29", "1900-02-29", "2019-13-01", "2019-00-01", "2019-04-31", "2019-01-00", "0000-01-01",
          "2019-12-06T25:00:00Z", "2019-12-06T24:00:01Z", "2019-12-06T16:60:00Z", "2019-12-06T16:07:61Z",
          "2019-12-06T16:07:44+16:00", "2019-12-06T16:07:44+02:60", "294277-01-01",
          "294276-12-31T23:59:59.9999999Z", "999999-12-31"})
        EXPECT_EQ(Text(text), "22008") << text;
    EXPECT_EQ(Text("2000-02-29"), std::to_string(59 * kMicrosPerDay));
    EXPECT_EQ(Text("0001-01-01"), "-63082281600000000");
    EXPECT_EQ(Text("294276-12-31T23:59:59.999999Z"), "9223371331199999999");
}

TEST(ClockFromTextTest, TimesOfDay) {
    EXPECT_EQ(Clock("16:07"), std::to_string((16 * 3600 + 7 * 60) * kMicrosPerSecond));
    EXPECT_EQ(Clock(" 16:07:44.5 "), std::to_string((16 * 3600 + 7 * 60 + 44) * kMicrosPerSecond + 500000));
    EXPECT_EQ(Clock("24:00:00"), std::to_string(kMicrosPerDay));
    EXPECT_EQ(Clock("23:59:60"), std::to_string(kMicrosPerDay));
    EXPECT_EQ(Clock("23:59:59.9999999"), std::to_string(kMicrosPerDay));
    for (const char* text : {"", "16", "4:07", "16:07:44.", "16:07:44Z", "16:07:44+01", "4:07 PM"})
        EXPECT_EQ(Clock(text), "22007") << text;
    for (const char* text : {"24:00:01", "24:00:00.5", "25:00", "16:60", "16:07:61"})
        EXPECT_EQ(Clock(text), "22008") << text;
}

// The server: date/time field value out of range: "23:59:60.5". Stored, it would be a time after 24:00.
TEST(ClockFromTextTest, LeapSecondDoesNotPassMidnight) {
    EXPECT_EQ(Clock("23:59:60.5"), "22008");
    EXPECT_EQ(Clock("12:30:60.5"), std::to_string((12 * 3600 + 31 * 60) * kMicrosPerSecond + 500000));
}

TEST(DayOfTest, RoundsDown) {
    EXPECT_EQ(DayOf(0), 0);
    EXPECT_EQ(DayOf(kMicrosPerDay - 1), 0);
    EXPECT_EQ(DayOf(-1), -1);
    EXPECT_EQ(DayOf(-kMicrosPerDay), -1);
    EXPECT_EQ(DayOf(INT64_C(-211813488000000000)), -2451545);
}

TEST(AppendIsoUtcTest, FourDigitYearsOnly) {
    EXPECT_EQ(Iso(kMicros + 123000), "2019-12-06T16:07:44.123Z");
    EXPECT_EQ(Iso(kMicros), "2019-12-06T16:07:44.000Z");
    EXPECT_EQ(Iso(kMicros + 1), "2019-12-06T16:07:44.000001Z");
    EXPECT_EQ(Iso(-1), "1999-12-31T23:59:59.999999Z");
    EXPECT_EQ(Iso(INT64_C(-63082281600000000)), "0001-01-01T00:00:00.000Z");
    EXPECT_EQ(Iso(INT64_C(-63082281600000001)), "none");
    EXPECT_EQ(Iso(INT64_C(252455615999999999)), "9999-12-31T23:59:59.999999Z");
    EXPECT_EQ(Iso(INT64_C(252455616000000000)), "none");
}

TEST(AppendIsoUtcTest, ReadsBackAsTheSameMoment) {
    for (int64_t day = -730000; day < 2920000; day += 97) {
        const int64_t micros =
            day * kMicrosPerDay + (day * 7919 % 86400 + 86400) % 86400 * kMicrosPerSecond + 1000;
        Bytes out;
        if (!AppendIsoUtc(micros, &out)) continue;
        EXPECT_EQ(Text(vm_test::Str(out)), std::to_string(micros));
    }
}

}  // namespace
}  // namespace vm
