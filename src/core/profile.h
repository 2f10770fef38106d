// What a heap of documents looks like: statistics per field path, gathered in one pass over each document and
// in bounded memory (some 50 MB at worst, far less as a rule).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/hll.h"
#include "core/extjson.h"
#include "core/tape.h"

namespace vm {

// What a value is. Extended JSON wrappers are scalars of their own type.
enum class FieldType : uint8_t {
    Null,  // also $undefined, and $date of null
    Boolean,
    Integer,  // a whole number: no decimals once the exponent is applied
    Decimal,  // any other number; $numberDouble and $numberDecimal always
    Text,
    ObjectId,
    Date,
    Binary,
    Uuid,  // $uuid, and $binary of subtype 3 or 4 with 16 bytes
    Timestamp,
    Regex,
    Symbol,
    Code,
    CodeWithScope,
    DbPointer,
    Ref,
    MinKey,
    MaxKey,
    Object,
    Array,
};
constexpr size_t kFieldTypes = static_cast<size_t>(FieldType::Array) + 1;

const char* FieldTypeName(FieldType type);

// What a text could be taken for.
enum class Look : uint8_t {
    Plain,
    Instant,  // ISO 8601 with date, time and offset, no finer than microseconds
    Day,      // ISO 8601, date only
    Number,   // as JSON writes one
    Uuid,     // 8-4-4-4-12 hexadecimal digits
};
constexpr size_t kLooks = static_cast<size_t>(Look::Uuid) + 1;

// Whether no two documents have the same value in a root field that every document has.
enum class Uniqueness : uint8_t {
    No,
    Yes,      // compared, one by one, by 64-bit hashes
    Unknown,  // too many documents to remember; distinct() is all there is
};

enum class Step : uint8_t {
    Member,   // of an object: path.key
    Any,      // any member of an object used as a map: path.*
    Element,  // any element of an array: path[]
    Rest,     // the row that tells what was left out
};

// Appends a member's name as it stands in a path: a dot or backslash in it is escaped by a backslash.
void AppendPathKey(std::string_view key, std::string* path);

constexpr size_t kShown = 64;  // bytes kept of a text, a number or an _id
// A text cut to that.
std::string CutShown(std::string_view text);

// id, _id, userId, user_id, uuid …
bool NamedLikeKey(std::string_view name);

// The statistics of one path.
class PathProfile {
  public:
    // The columns of vm_profile.
    const std::string& path() const { return path_; }
    std::string types() const;  // "integer 3990, text 10": occurrences, most frequent first
    uint64_t documents() const { return documents_; }  // that have it, null or not
    uint64_t nulls() const { return count(FieldType::Null); }
    uint64_t distinct() const;  // of scalars; an estimate above 256, unless all differ
    uint64_t scalars() const;   // occurrences; without any, distinct() means nothing
    // Of the most frequent of numbers, times, texts and booleans; times as ISO UTC. Empty if there is none.
    std::string smallest() const { return Extreme(true); }
    std::string largest() const { return Extreme(false); }
    const std::string& sample_id() const { return sample_id_; }  // of the first document that has it

    // What a proposal needs to know.
    const std::string& key() const { return key_; }  // the member's name, not escaped
    Step step() const { return step_; }
    int depth() const { return depth_; }  // a member of the root has 1
    uint64_t count(FieldType type) const { return counts_[static_cast<size_t>(type)]; }
    uint64_t looks(Look look) const { return looks_[static_cast<size_t>(look)]; }
    uint64_t odd() const { return odd_; }  // wrappers with a content that makes no value: {"$date": "x"}
    bool from_long() const { return from_long_; }      // some integer was a $numberLong
    bool beyond_int8() const { return beyond_int8_; }  // some integer has more than 64 bits
    int64_t min_integer() const { return min_int_; }   // of the integers within 64 bits, if there are any
    int64_t max_integer() const { return max_int_; }
    uint64_t fraction_digits() const { return fraction_digits_; }  // the most that a number has
    uint64_t longest_text() const { return longest_text_; }        // bytes
    Uniqueness uniqueness() const { return uniqueness_; }          // No unless it is a member of the root

  private:
    friend class Profiler;

    void AddValue(const Tape& tape, uint32_t node, const Wrapped& wrapped);
    void AddWrapped(const Tape& tape, uint32_t node, Wrapper wrapper);
    void AddNumber(std::string_view text, Wrapper wrapper);
    void AddText(std::string_view text, FieldType type, uint64_t seed);
    void AddTime(int64_t micros, FieldType type);
    void Wider(std::string_view number);
    void Count(FieldType type) { ++counts_[static_cast<size_t>(type)]; }
    void Hash(uint64_t value, uint64_t seed);
    void Merge(const PathProfile& other);
    std::string Extreme(bool least) const;

    std::string path_, key_, sample_id_, note_;
    Step step_ = Step::Member;
    Uniqueness uniqueness_ = Uniqueness::No;
    bool from_long_ = false, beyond_int8_ = false, has_int_ = false, has_time_ = false, has_text_ = false;
    bool min_cut_ = false, max_cut_ = false;
    int depth_ = 0;
    uint64_t documents_ = 0, odd_ = 0, fraction_digits_ = 0, longest_text_ = 0;
    uint64_t counts_[kFieldTypes] = {};
    uint64_t looks_[kLooks] = {};
    uint64_t true_ = 0;
    int64_t min_int_ = 0, max_int_ = 0;    // integers within 64 bits
    int64_t min_time_ = 0, max_time_ = 0;  // microseconds since 2000
    std::string min_number_, max_number_;  // all other numbers, as text; empty: none
    std::string min_text_, max_text_;      // cut
    DistinctCounter distinct_;
    uint64_t hash_ = 0;  // of the last scalar
};

class Profiler {
  public:
    Profiler();
    ~Profiler();
    Profiler(const Profiler&) = delete;
    Profiler& operator=(const Profiler&) = delete;

    // Takes one document. `id` names it in sample_id(); if empty, the document's own _id does. A root that is
    // no object is counted and otherwise ignored. Keeps nothing of the tape. Throws std::bad_alloc.
    void Add(const Tape& tape, std::string_view id);

    uint64_t documents() const { return documents_; }      // objects
    uint64_t not_objects() const { return not_objects_; }  // documents whose root is something else

    // One row per path, in the order of first appearance, children after their parent; last, if anything was
    // left out, a row that says what (Step::Rest). A row is valid until the next Add.
    size_t Rows() const;
    const PathProfile& Row(size_t i) const;

    static constexpr size_t kMaxRootPaths = 2000;   // members of the root; a table can't have as many columns
    static constexpr size_t kMaxPaths = 5000;       // all others
    static constexpr int kMaxDepth = 32;            // members and elements deeper than that are not looked at
    static constexpr size_t kMaxKey = 200;          // bytes of a member's name
    static constexpr size_t kMaxPath = 1000;        // bytes of a path
    static constexpr size_t kKeyHashes = 1u << 20;  // values remembered to see whether one field is unique
    static constexpr size_t kAllKeyHashes = 2u << 20;  // and for all fields

  private:
    struct Field;
    struct Pending {
        Field* field;
        uint32_t node;
    };
    enum Left : uint8_t { TooMany, TooLong, TooDeep, kLeft };

    void VisitObject(uint32_t node, Field* field);
    void VisitArray(uint32_t node, Field* field);
    void VisitValue(uint32_t node, Field* field);
    bool Match(uint32_t node, Field* field);
    void CheckUnique(Field* field);
    void GiveUpUnique(Field* field, Uniqueness verdict);
    Field* FindOrCreate(Field* parent, std::string_view key, size_t* expected);
    std::unique_ptr<Field> Create(Field* parent, std::string_view key, Step step);
    void Collapse(Field* field);
    void Absorb(Field* to, Field* from);
    void Shrink();
    void LeaveOut(Left why);
    const std::string& SampleId();
    void Flatten(Field* field, std::string* path) const;

    std::unique_ptr<Field> root_;
    uint64_t documents_ = 0, not_objects_ = 0, visits_ = 0;
    size_t paths_ = 0, shrink_at_ = kMaxPaths / 4 * 3, key_hashes_ = 0;
    std::vector<Pending> pending_;

    const Tape* tape_ = nullptr;  // the document at hand
    std::string_view id_;
    std::string sample_id_;
    bool sample_known_ = false;

    uint64_t left_[kLeft] = {};
    mutable std::unique_ptr<PathProfile> rest_;
    uint64_t rest_documents_ = 0, rest_last_ = 0;
    std::string rest_sample_;
    mutable std::vector<const PathProfile*> rows_;
    mutable bool flat_ = false;
};

}  // namespace vm
