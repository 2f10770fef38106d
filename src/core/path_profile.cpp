// Statistics of one field path: what PathProfile gathers and how it is shown.
#include "core/profile.h"

#include <algorithm>
#include <iterator>

#include "core/base64.h"
#include "core/bytes.h"
#include "core/datetime.h"
#include "core/decimal.h"
#include "core/scalar.h"

namespace vm {

namespace {

constexpr const char* kNames[] = {
    "null",      "boolean", "integer",   "decimal", "text",   "objectid", "date",
    "binary",    "uuid",    "timestamp", "regex",   "symbol", "code",     "code with scope",
    "dbpointer", "dbref",   "minkey",    "maxkey",  "object", "array"};
static_assert(sizeof(kNames) / sizeof(kNames[0]) == kFieldTypes, "one name per kind");

// Values of different sorts never count as equal.
enum Seed : uint64_t { kBooleanSeed = 1, kNumberSeed, kTimeSeed, kTextSeed, kOidSeed, kUuidSeed, kOtherSeed };

bool IsDigit(char c) {
    return c >= '0' && c <= '9';
}

size_t CutAt(std::string_view text, size_t most) {
    if (text.size() <= most) return text.size();
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
    return most;
}

// A finite number for comparison: 0.d1d2d3… × 10^point, no leading zeros; `first` is empty for zero.
struct Magnitude {
    std::string_view first, second;
    int64_t point = 0;
    explicit Magnitude(const Decimal& d) : first(d.whole), second(d.fraction) {
        if (first.empty())
            while (!second.empty() && second.front() == '0') second.remove_prefix(1);
        if (first.empty()) std::swap(first, second);
        point = static_cast<int64_t>(first.size() + second.size()) - static_cast<int64_t>(d.fraction.size()) +
                d.exponent;
        std::string_view& last = second.empty() ? first : second;
        while (!last.empty() && last.back() == '0') last.remove_suffix(1);
        if (second.empty())
            while (!first.empty() && first.back() == '0') first.remove_suffix(1);
    }
    size_t size() const { return first.size() + second.size(); }
    char operator[](size_t i) const {
        return i < first.size() ? first[i] : i < size() ? second[i - first.size()] : '0';
    }
    std::string Digits() const { return std::string(first).append(second); }
};

// -1, 0, 1 as for numeric: -Infinity, numbers, Infinity, NaN.
int CompareNumbers(std::string_view a, std::string_view b) {
    const auto rank = [](std::string_view text, Decimal* d) {
        Special special;
        if (ParseDecimal(text, true, d) || !ParseSpecial(text, &special)) return 1;
        return special == Special::MinusInfinity ? 0 : special == Special::Infinity ? 2 : 3;
    };
    Decimal da, db;
    const int ra = rank(a, &da), rb = rank(b, &db);
    if (ra != 1 || rb != 1) return (ra > rb) - (ra < rb);
    const Magnitude ma(da), mb(db);
    const int sa = ma.size() == 0 ? 0 : da.negative ? -1 : 1;
    const int sb = mb.size() == 0 ? 0 : db.negative ? -1 : 1;
    if (sa != sb) return sa < sb ? -1 : 1;
    if (sa == 0) return 0;
    if (ma.point != mb.point) return (ma.point < mb.point) == (sa > 0) ? -1 : 1;
    for (size_t i = 0; i < std::max(ma.size(), mb.size()); ++i)
        if (ma[i] != mb[i]) return (ma[i] < mb[i]) == (sa > 0) ? -1 : 1;
    return 0;
}

// A number's text as it is kept: one of many digits is rounded towards zero.
std::string ShortNumber(std::string_view text) {
    Decimal d;
    if (text.size() <= kShown || !ParseDecimal(text, true, &d)) return std::string(text.substr(0, kShown));
    const Magnitude m(d);
    if (m.size() == 0) return "0";
    std::string digits = m.Digits().substr(0, 40);
    if (digits.size() > 1) digits.insert(1, ".");
    return (d.negative ? "-" : "") + digits + "e" + std::to_string(m.point - 1);
}

Look LookOf(std::string_view text) {
    int64_t t;
    Decimal d;
    if (text.empty() || text.size() > 64) return Look::Plain;
    unsigned char uuid[16];
    if (ParseUuid(text, uuid)) return Look::Uuid;
    if (!IsDigit(text[0]) && text[0] != '-') return Look::Plain;
    if (text.size() >= 10 && text[4] == '-' && text[7] == '-') {
        if (TimeFromText(text, &t) != Reason::None) return Look::Plain;
        if (text.size() == 10) return Look::Day;
        const size_t point = text.find('.');
        size_t digits = 0;
        if (point != std::string_view::npos)
            while (point + 1 + digits < text.size() && IsDigit(text[point + 1 + digits])) ++digits;
        const bool offset = text.back() == 'Z' || text.find_first_of("+-", 11) != std::string_view::npos;
        return text[10] == 'T' && offset && digits <= 6 ? Look::Instant : Look::Plain;
    }
    const size_t first = text[0] == '-';
    if (text.size() > first + 1 && text[first] == '0' && IsDigit(text[first + 1])) return Look::Plain;  // 007
    return ParseDecimal(text, false, &d) ? Look::Number : Look::Plain;
}

}  // namespace

std::string CutShown(std::string_view text) {
    const size_t n = CutAt(text, kShown);
    std::string cut(text.substr(0, n));
    if (n < text.size()) cut += "...";
    return cut;
}

const char* FieldTypeName(FieldType type) {
    return kNames[static_cast<size_t>(type)];
}

void AppendPathKey(std::string_view key, std::string* path) {
    for (char c : key) {
        if (c == '.' || c == '\\') *path += '\\';
        *path += c;
    }
}

bool NamedLikeKey(std::string_view name) {
    const auto ends = [&](std::string_view with) {
        return name.size() >= with.size() && name.substr(name.size() - with.size()) == with;
    };
    return name == "id" || name == "ID" || ends("_id") || ends("Id") || ends("ID") || ends("uuid");
}

void PathProfile::Hash(uint64_t value, uint64_t seed) {
    hash_ = MixHash(value ^ (seed << 56));
    distinct_.Add(hash_);
}

void PathProfile::AddValue(const Tape& tape, uint32_t node, const Wrapped& wrapped) {
    if (wrapped.kind != Wrapper::None) return AddWrapped(tape, node, wrapped.kind);
    const Node& n = tape[node];
    switch (n.type) {
        case Type::Null: return Count(FieldType::Null);
        case Type::True:
        case Type::False:
            Count(FieldType::Boolean);
            true_ += n.type == Type::True;
            return Hash(n.type == Type::True, kBooleanSeed);
        case Type::Number: return AddNumber(TextOf(n), Wrapper::None);
        case Type::Array: return Count(FieldType::Array);
        case Type::Object: return Count(FieldType::Object);
        default: break;
    }
    ++looks_[static_cast<size_t>(LookOf(TextOf(n)))];
    AddText(TextOf(n), FieldType::Text, kTextSeed);
}

void PathProfile::AddWrapped(const Tape& tape, uint32_t node, Wrapper wrapper) {
    FieldType type = FieldType::Null;
    switch (wrapper) {
        case Wrapper::Oid: type = FieldType::ObjectId; break;
        case Wrapper::Date: type = FieldType::Date; break;
        case Wrapper::NumberInt:
        case Wrapper::NumberLong: type = FieldType::Integer; break;
        case Wrapper::NumberDouble:
        case Wrapper::NumberDecimal: type = FieldType::Decimal; break;
        case Wrapper::Binary: type = FieldType::Binary; break;
        case Wrapper::Uuid: type = FieldType::Uuid; break;
        case Wrapper::Regex: type = FieldType::Regex; break;
        case Wrapper::Timestamp: type = FieldType::Timestamp; break;
        case Wrapper::MinKey: type = FieldType::MinKey; break;
        case Wrapper::MaxKey: type = FieldType::MaxKey; break;
        case Wrapper::Symbol: type = FieldType::Symbol; break;
        case Wrapper::Code: type = FieldType::Code; break;
        case Wrapper::CodeWithScope: type = FieldType::CodeWithScope; break;
        case Wrapper::DbPointer: type = FieldType::DbPointer; break;
        case Wrapper::Ref: type = FieldType::Ref; break;
        default: break;
    }
    const Scalar s = Unwrap(tape, node);
    Bytes scratch;
    switch (s.kind) {
        case ScalarKind::Null: return Count(FieldType::Null);
        case ScalarKind::Number: return AddNumber(s.text, wrapper);
        case ScalarKind::String:
        case ScalarKind::Regex: return AddText(s.text, type, kOtherSeed);
        case ScalarKind::Date:
        case ScalarKind::Timestamp: {
            int64_t t;
            bool null;
            const Reason reason = TimeOf(tape, node, 1, &t, &null);
            if (reason != Reason::None) break;
            if (null) return Count(FieldType::Null);
            return AddTime(t, type);
        }
        case ScalarKind::Oid: {
            int64_t seconds;
            if (tape[s.node].type != Type::String || !ParseObjectId(TextOf(tape[s.node]), &seconds)) break;
            return AddText(TextOf(tape[s.node]), type, kOidSeed);
        }
        case ScalarKind::Uuid: {
            unsigned char bytes[16];
            if (!ParseUuid(s.text, bytes)) break;
            AppendUuidText(bytes, &scratch);
            return AddText({scratch.data(), scratch.size()}, type, kUuidSeed);
        }
        case ScalarKind::Binary: {
            size_t at;
            if (BinaryUuid(s, &scratch, &at)) {
                unsigned char bytes[16];
                std::memcpy(bytes, scratch.data() + at, 16);
                scratch.Clear();
                AppendUuidText(bytes, &scratch);
                return AddText({scratch.data(), scratch.size()}, FieldType::Uuid, kUuidSeed);
            }
            odd_ += !AppendBase64Decoded(s.text, &scratch);
            Count(type);
            return Hash(HashBytes(s.text, kOtherSeed), kOtherSeed);
        }
        case ScalarKind::MinKey:
        case ScalarKind::MaxKey: return Count(type);
        default:  // has a form of its own only as JSON
            Count(type);
            if (type < FieldType::CodeWithScope) ++odd_;
            return;
    }
    Count(type);
    ++odd_;
}

void PathProfile::AddNumber(std::string_view text, Wrapper wrapper) {
    const bool is_double = wrapper == Wrapper::NumberDouble || wrapper == Wrapper::NumberDecimal;
    Decimal d;
    if (!ParseDecimal(text, wrapper != Wrapper::None, &d)) {
        Count(is_double ? FieldType::Decimal : FieldType::Integer);
        Special special;
        if (!is_double || !ParseSpecial(text, &special)) {
            ++odd_;
            return;
        }
        Wider(text);
        return Hash(UINT64_MAX - static_cast<uint64_t>(special), kOtherSeed);
    }
    const int64_t scale = std::max<int64_t>(0, static_cast<int64_t>(d.fraction.size()) - d.exponent);
    const FieldType type = is_double || scale > 0 ? FieldType::Decimal : FieldType::Integer;
    Count(type);
    fraction_digits_ = std::max(fraction_digits_, static_cast<uint64_t>(scale));
    int64_t v;
    const bool fits = DecimalToInt(d, Rounding::Exact, INT64_MIN, INT64_MAX, &v) == ToInt::Ok;
    if (type == FieldType::Integer && fits) {
        from_long_ = from_long_ || wrapper == Wrapper::NumberLong;
        min_int_ = has_int_ ? std::min(min_int_, v) : v;
        max_int_ = has_int_ ? std::max(max_int_, v) : v;
        has_int_ = true;
    } else {
        beyond_int8_ = beyond_int8_ || type == FieldType::Integer;
        Wider(text);
    }
    // 1, 1.0 and 10e-1 are one value.
    if (fits) return Hash(static_cast<uint64_t>(v), kNumberSeed);
    const Magnitude m(d);
    Hash(HashBytes(m.Digits(), static_cast<uint64_t>(m.point * 2 + d.negative)), kNumberSeed);
}

void PathProfile::Wider(std::string_view number) {
    if (min_number_.empty() || CompareNumbers(number, min_number_) < 0) min_number_ = ShortNumber(number);
    if (max_number_.empty() || CompareNumbers(number, max_number_) > 0) max_number_ = ShortNumber(number);
}

void PathProfile::AddText(std::string_view text, FieldType type, uint64_t seed) {
    Count(type);
    Hash(HashBytes(text, seed), seed);
    longest_text_ = std::max<uint64_t>(longest_text_, text.size());
    // Compared by what is kept, so that a cut text and one that begins with it count as equal.
    const std::string_view kept = text.substr(0, CutAt(text, kShown));
    if (!has_text_ || kept < min_text_) {
        min_text_ = kept;
        min_cut_ = kept.size() < text.size();
    }
    if (!has_text_ || kept > max_text_) {
        max_text_ = kept;
        max_cut_ = kept.size() < text.size();
    }
    has_text_ = true;
}

void PathProfile::AddTime(int64_t micros, FieldType type) {
    Count(type);
    Hash(static_cast<uint64_t>(micros), kTimeSeed);
    min_time_ = has_time_ ? std::min(min_time_, micros) : micros;
    max_time_ = has_time_ ? std::max(max_time_, micros) : micros;
    has_time_ = true;
}

void PathProfile::Merge(const PathProfile& other) {
    if (sample_id_.empty()) sample_id_ = other.sample_id_;
    odd_ += other.odd_;
    true_ += other.true_;
    from_long_ = from_long_ || other.from_long_;
    beyond_int8_ = beyond_int8_ || other.beyond_int8_;
    fraction_digits_ = std::max(fraction_digits_, other.fraction_digits_);
    longest_text_ = std::max(longest_text_, other.longest_text_);
    for (size_t i = 0; i < kFieldTypes; ++i) counts_[i] += other.counts_[i];
    for (size_t i = 0; i < kLooks; ++i) looks_[i] += other.looks_[i];
    if (other.has_int_) {
        min_int_ = has_int_ ? std::min(min_int_, other.min_int_) : other.min_int_;
        max_int_ = has_int_ ? std::max(max_int_, other.max_int_) : other.max_int_;
        has_int_ = true;
    }
    if (other.has_time_) {
        min_time_ = has_time_ ? std::min(min_time_, other.min_time_) : other.min_time_;
        max_time_ = has_time_ ? std::max(max_time_, other.max_time_) : other.max_time_;
        has_time_ = true;
    }
    if (other.has_text_) {
        if (!has_text_ || other.min_text_ < min_text_) {
            min_text_ = other.min_text_;
            min_cut_ = other.min_cut_;
        }
        if (!has_text_ || other.max_text_ > max_text_) {
            max_text_ = other.max_text_;
            max_cut_ = other.max_cut_;
        }
        has_text_ = true;
    }
    if (!other.min_number_.empty()) {
        Wider(other.min_number_);
        Wider(other.max_number_);
    }
    distinct_.Merge(other.distinct_);
}

uint64_t PathProfile::scalars() const {
    uint64_t n = 0;
    for (size_t i = static_cast<size_t>(FieldType::Boolean); i < static_cast<size_t>(FieldType::Object); ++i)
        n += counts_[i];
    return n;
}

uint64_t PathProfile::distinct() const {
    return uniqueness_ == Uniqueness::Yes ? documents_ : std::min(distinct_.Estimate(), scalars());
}

std::string PathProfile::types() const {
    if (!note_.empty()) return note_;
    std::vector<size_t> order;
    for (size_t i = 0; i < kFieldTypes; ++i)
        if (counts_[i] != 0) order.push_back(i);
    std::stable_sort(order.begin(), order.end(),
                     [this](size_t a, size_t b) { return counts_[a] > counts_[b]; });
    std::string text;
    for (size_t i : order) {
        if (!text.empty()) text += ", ";
        text.append(kNames[i]).append(" ").append(std::to_string(counts_[i]));
    }
    return text;
}

std::string PathProfile::Extreme(bool least) const {
    const uint64_t numbers =
        has_int_ || !min_number_.empty() ? count(FieldType::Integer) + count(FieldType::Decimal) : 0;
    const uint64_t times = has_time_ ? count(FieldType::Date) + count(FieldType::Timestamp) : 0;
    const uint64_t texts = count(FieldType::Text) + count(FieldType::ObjectId) + count(FieldType::Uuid) +
                           count(FieldType::Regex) + count(FieldType::Symbol) + count(FieldType::Code);
    const uint64_t booleans = count(FieldType::Boolean);
    const uint64_t most = std::max({numbers, times, texts, booleans});
    if (most == 0) return {};
    if (most == numbers) {
        const std::string& other = least ? min_number_ : max_number_;
        if (!has_int_) return other;
        const std::string integer = std::to_string(least ? min_int_ : max_int_);
        if (other.empty()) return integer;
        return (CompareNumbers(other, integer) < 0) == least ? other : integer;
    }
    if (most == times) {
        Bytes iso;
        const int64_t t = least ? min_time_ : max_time_;
        if (AppendIsoUtc(t, &iso)) return {iso.data(), iso.size()};
        return std::to_string(t / 1000 + kEpochOffsetSeconds * 1000) + " ms since 1970";
    }
    if (most == texts) return (least ? min_text_ : max_text_) + ((least ? min_cut_ : max_cut_) ? "..." : "");
    return least ? (true_ == booleans ? "true" : "false") : (true_ > 0 ? "true" : "false");
}

}  // namespace vm
