#include "core/profile.h"

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "core/base64.h"
#include "core/bytes.h"
#include "core/datetime.h"
#include "core/decimal.h"
#include "core/json_text.h"
#include "core/scalar.h"

namespace vm {

namespace {

constexpr size_t kShown = 64;                // bytes kept of a text, a number or an _id
constexpr size_t kTracked = 16;              // documents remembered by number, to merge a map's paths exactly
constexpr size_t kMapMembers = 100;          // distinct keys from which an object may be a map
constexpr size_t kMostMembers = 400;         // and from which it is one
constexpr size_t kCrowdMembers = 20;         // and from which it is taken for one when paths run out
constexpr uint64_t kLongestKeyValue = 2000;  // bytes; an index row holds little more

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

std::string Cut(std::string_view text) {
    const size_t n = CutAt(text, kShown);
    std::string cut(text.substr(0, n));
    if (n < text.size()) cut += "...";
    return cut;
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

// A value as a reader recognises it: a scalar without its wrapper, anything else as JSON; cut.
std::string Readable(const Tape& tape, uint32_t node) {
    const Scalar s = Unwrap(tape, node);
    if (s.kind == ScalarKind::String) return Cut(s.text);
    Bytes text;
    bool composite;
    if (!AppendScalarText(tape, s, &text, &composite) || composite) {
        text.Clear();
        JsonTextWriter().Write(tape, node, &text, kShown);
    }
    return Cut({text.data(), text.size()});
}

}  // namespace

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

// ---- one path

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

// ---- all paths

struct Profiler::Field {
    PathProfile profile;
    Field* parent = nullptr;
    size_t path_bytes = 0;
    std::vector<std::unique_ptr<Field>> members;  // of objects, in the order of their first appearance
    std::unordered_map<std::string_view, size_t> by_name;  // filled once there are too many to look through
    Field* any = nullptr;                                  // a map's only member
    std::unique_ptr<Field> elements;                       // of arrays
    uint64_t objects = 0, written = 0;                     // objects seen, and members in them
    uint64_t last_document = 0, last_visit = 0;
    size_t slot = 0;                  // where the visit noted its value
    std::vector<uint64_t> documents;  // by number, as long as they are few
    HashSet values;                   // of a member of the root that may be a key

    void Remember() {
        constexpr size_t kFew = 8;
        if (members.size() <= kFew) return;
        for (size_t i = by_name.size(); i < members.size(); ++i)
            by_name.emplace(members[i]->profile.key(), i);
    }
    size_t Find(std::string_view key) const {
        if (!by_name.empty()) {
            const auto it = by_name.find(key);
            return it == by_name.end() ? members.size() : it->second;
        }
        size_t i = 0;
        while (i < members.size() && members[i]->profile.key() != key) ++i;
        return i;
    }
    // Many keys, and each object has but a few of them: the keys are data.
    bool IsMap() const {
        if (parent == nullptr || any != nullptr || members.size() <= kMapMembers) return false;
        return members.size() > kMostMembers || members.size() * objects > 2 * written;
    }
};

Profiler::Profiler() : root_(new Field) {}
Profiler::~Profiler() = default;

void Profiler::Add(const Tape& tape, std::string_view id) {
    if (tape.size() == 0 || tape[0].type != Type::Object) {
        ++not_objects_;
        return;
    }
    ++documents_;
    flat_ = false;
    tape_ = &tape;
    id_ = id;
    sample_known_ = false;
    VisitObject(0, root_.get());
    if (paths_ > shrink_at_) Shrink();
    tape_ = nullptr;
}

void Profiler::VisitObject(uint32_t node, Field* field) {
    const Tape& tape = *tape_;
    const uint32_t end = tape[node].len;
    ++field->objects;
    field->written += tape[node].count;
    if (node + 1 == end) return;
    if (field->profile.depth_ == kMaxDepth) return LeaveOut(TooDeep);

    // First the last value of each member, as equal keys may follow; then a look at these. What is pending of
    // the objects around this one stays below `base`.
    const size_t base = pending_.size();
    if (field->any == nullptr && !Match(node, field)) {
        pending_.resize(base);
        Collapse(field);
    }
    if (field->any != nullptr)
        for (uint32_t i = node + 1; i < end; i = tape.After(i + 1)) VisitValue(i + 1, field->any);
    for (size_t i = base; i < pending_.size(); ++i) VisitValue(pending_[i].node, pending_[i].field);
    pending_.resize(base);
}

// Notes the values of the members. False if the object turned out to be a map.
bool Profiler::Match(uint32_t node, Field* field) {
    const Tape& tape = *tape_;
    const uint64_t visit = ++visits_;
    size_t expected = 0;
    for (uint32_t i = node + 1; i < tape[node].len; i = tape.After(i + 1)) {
        Field* member = FindOrCreate(field, TextOf(tape[i]), &expected);
        if (member == nullptr) continue;
        if (member->last_visit == visit) {
            pending_[member->slot].node = i + 1;
            continue;
        }
        member->last_visit = visit;
        member->slot = pending_.size();
        pending_.push_back({member, i + 1});
        if (field->parent != nullptr && field->members.size() > kMostMembers) return false;
    }
    return !field->IsMap();
}

void Profiler::VisitArray(uint32_t node, Field* field) {
    const Tape& tape = *tape_;
    const uint32_t end = tape[node].len;
    if (node + 1 == end) return;
    if (field->profile.depth_ == kMaxDepth) return LeaveOut(TooDeep);
    if (field->elements == nullptr) field->elements = Create(field, {}, Step::Element);
    if (field->elements == nullptr) return;
    for (uint32_t i = node + 1; i < end; i = tape.After(i)) VisitValue(i, field->elements.get());
}

void Profiler::VisitValue(uint32_t node, Field* field) {
    PathProfile& profile = field->profile;
    if (field->last_document != documents_) {
        field->last_document = documents_;
        if (++profile.documents_ == 1) profile.sample_id_ = SampleId();
        if (profile.documents_ <= kTracked) {
            field->documents.push_back(documents_);
        } else if (!field->documents.empty()) {
            std::vector<uint64_t>().swap(field->documents);
        }
    }
    const Wrapped wrapped = Recognise(*tape_, node);
    profile.AddValue(*tape_, node, wrapped);
    if (field->parent == root_.get()) CheckUnique(field);
    if (wrapped.kind != Wrapper::None) return;
    if ((*tape_)[node].type == Type::Object) VisitObject(node, field);
    if ((*tape_)[node].type == Type::Array) VisitArray(node, field);
}

// Whether the field may be a key: one suitable value in each document so far, and none twice.
void Profiler::CheckUnique(Field* field) {
    PathProfile& profile = field->profile;
    if (profile.uniqueness_ == Uniqueness::No) return;
    const uint64_t suitable = profile.count(FieldType::Text) + profile.count(FieldType::Integer) +
                              profile.count(FieldType::ObjectId) + profile.count(FieldType::Uuid);
    if (suitable != documents_ || profile.odd_ != 0 || profile.longest_text_ > kLongestKeyValue)
        return GiveUpUnique(field, Uniqueness::No);
    if (profile.uniqueness_ == Uniqueness::Unknown) return;
    if (!field->values.Insert(profile.hash_)) return GiveUpUnique(field, Uniqueness::No);
    ++key_hashes_;
    if (field->values.size() > kKeyHashes) return GiveUpUnique(field, Uniqueness::Unknown);
    if (key_hashes_ <= kAllKeyHashes) return;

    // Too many candidates: the last one goes, one whose name does not suggest a key first.
    Field* victim = nullptr;
    for (const auto& member : root_->members) {
        if (member->values.size() == 0) continue;
        if (victim == nullptr || !NamedLikeKey(member->profile.key_) || NamedLikeKey(victim->profile.key_))
            victim = member.get();
    }
    GiveUpUnique(victim, Uniqueness::Unknown);
}

void Profiler::GiveUpUnique(Field* field, Uniqueness verdict) {
    field->profile.uniqueness_ = verdict;
    key_hashes_ -= field->values.size();
    field->values.Free();
}

// `expected` is the place after the last member found: documents tend to agree in the order of their members.
Profiler::Field* Profiler::FindOrCreate(Field* parent, std::string_view key, size_t* expected) {
    auto& members = parent->members;
    size_t i = *expected;
    if (i >= members.size() || members[i]->profile.key_ != key) i = parent->Find(key);
    if (i == members.size()) {
        std::unique_ptr<Field> member = Create(parent, key, Step::Member);
        if (member == nullptr) return nullptr;
        members.push_back(std::move(member));
        parent->Remember();
    }
    *expected = i + 1;
    return members[i].get();
}

// Null if there is no room for it.
std::unique_ptr<Profiler::Field> Profiler::Create(Field* parent, std::string_view key, Step step) {
    const bool of_root = parent == root_.get();
    const size_t path_bytes = parent->path_bytes + key.size() + 2;
    if (key.size() > kMaxKey || path_bytes > kMaxPath) {
        LeaveOut(TooLong);
        return nullptr;
    }
    if (of_root ? parent->members.size() >= kMaxRootPaths : paths_ >= kMaxPaths) {
        LeaveOut(TooMany);
        return nullptr;
    }
    std::unique_ptr<Field> field(new Field);
    field->parent = parent;
    field->path_bytes = path_bytes;
    field->profile.key_ = key;
    field->profile.step_ = step;
    field->profile.depth_ = parent->profile.depth_ + 1;
    if (of_root && documents_ == 1) field->profile.uniqueness_ = Uniqueness::Yes;  // until proven otherwise
    if (!of_root) ++paths_;
    return field;
}

// Takes an object for a map: what was gathered for its members becomes one member's.
void Profiler::Collapse(Field* field) {
    std::unique_ptr<Field> any(new Field);
    any->parent = field;
    any->path_bytes = field->path_bytes + 2;
    any->profile.key_ = "*";
    any->profile.step_ = Step::Any;
    any->profile.depth_ = field->profile.depth_ + 1;
    ++paths_;
    for (const auto& member : field->members) Absorb(any.get(), member.get());
    field->by_name.clear();
    field->members.clear();
    field->any = any.get();
    field->members.push_back(std::move(any));
}

// Adds what is known of `from` and everything below it to `to`. `from` is of no use afterwards.
void Profiler::Absorb(Field* to, Field* from) {
    --paths_;
    PathProfile& profile = to->profile;
    const PathProfile& other = from->profile;
    const uint64_t sum = profile.documents_ + other.documents_;
    if (to->documents.size() == profile.documents_ && from->documents.size() == other.documents_) {
        std::vector<uint64_t> both;
        std::set_union(to->documents.begin(), to->documents.end(), from->documents.begin(),
                       from->documents.end(), std::back_inserter(both));
        to->documents.swap(both);
        profile.documents_ = to->documents.size();
    } else {  // an upper bound; Flatten lowers it to what the parent has
        to->documents.clear();
        profile.documents_ = std::min(sum, documents_);
    }
    profile.Merge(other);
    to->objects += from->objects;
    to->written += from->written;
    to->last_document = std::max(to->last_document, from->last_document);

    if (from->elements != nullptr && to->elements != nullptr) {
        Absorb(to->elements.get(), from->elements.get());
    } else if (from->elements != nullptr) {
        to->elements = std::move(from->elements);
        to->elements->parent = to;
    }
    if (from->any != nullptr && to->any == nullptr) Collapse(to);
    for (auto& member : from->members) {
        Field* same = to->any;
        if (same == nullptr) {
            const size_t i = to->Find(member->profile.key_);
            if (i < to->members.size()) same = to->members[i].get();
        }
        if (same != nullptr) {
            Absorb(same, member.get());
        } else {
            member->parent = to;
            to->members.push_back(std::move(member));
            to->Remember();
        }
    }
    if (to->IsMap()) Collapse(to);
}

// Paths run out: takes the objects with the most members for maps.
void Profiler::Shrink() {
    while (paths_ > kMaxPaths / 2) {
        Field* widest = nullptr;
        std::vector<Field*> todo{root_.get()};
        while (!todo.empty()) {
            Field* field = todo.back();
            todo.pop_back();
            for (const auto& member : field->members) todo.push_back(member.get());
            if (field->elements != nullptr) todo.push_back(field->elements.get());
            if (field->parent == nullptr || field->any != nullptr || field->members.size() < kCrowdMembers)
                continue;
            if (widest == nullptr || field->members.size() > widest->members.size()) widest = field;
        }
        if (widest == nullptr) break;
        Collapse(widest);
    }
    shrink_at_ = std::max(kMaxPaths / 4 * 3, paths_ + kMaxPaths / 16);  // not again for every document
}

void Profiler::LeaveOut(Left why) {
    ++left_[why];
    if (rest_last_ == documents_) return;
    rest_last_ = documents_;
    if (++rest_documents_ == 1) rest_sample_ = SampleId();
}

const std::string& Profiler::SampleId() {
    if (!sample_known_) {
        sample_known_ = true;
        const uint32_t node = id_.empty() ? Member(*tape_, 0, "_id") : 0;
        sample_id_ = node != 0 ? Readable(*tape_, node) : Cut(id_);
    }
    return sample_id_;
}

void Profiler::Flatten(Field* field, std::string* path) const {
    const size_t length = path->size();
    const auto add = [&](Field* child) {
        PathProfile& profile = child->profile;
        if (profile.step_ == Step::Element) {
            *path += "[]";
        } else {
            if (field->parent != nullptr) *path += '.';
            if (profile.step_ == Step::Any)
                *path += '*';
            else
                AppendPathKey(profile.key_, path);
        }
        profile.path_ = *path;
        if (field->parent != nullptr)
            profile.documents_ = std::min(profile.documents_, field->profile.documents_);
        else if (profile.documents_ < documents_)
            profile.uniqueness_ = Uniqueness::No;
        rows_.push_back(&profile);
        Flatten(child, path);
        path->resize(length);
    };
    for (const auto& member : field->members) add(member.get());
    if (field->elements != nullptr) add(field->elements.get());
}

size_t Profiler::Rows() const {
    if (flat_) return rows_.size();
    rows_.clear();
    std::string path;
    Flatten(root_.get(), &path);
    if (rest_documents_ > 0) {
        rest_.reset(new PathProfile);
        rest_->path_ = "(left out)";
        rest_->step_ = Step::Rest;
        rest_->documents_ = rest_documents_;
        rest_->sample_id_ = rest_sample_;
        constexpr const char* kWhy[kLeft] = {"too many paths", "too long a name", "too deep"};
        for (size_t i = 0; i < kLeft; ++i) {
            if (left_[i] == 0) continue;
            if (!rest_->note_.empty()) rest_->note_ += ", ";
            rest_->note_.append(kWhy[i]).append(" ").append(std::to_string(left_[i]));
        }
        rows_.push_back(rest_.get());
    }
    flat_ = true;
    return rows_.size();
}

const PathProfile& Profiler::Row(size_t i) const {
    Rows();
    return *rows_[i];
}

}  // namespace vm
