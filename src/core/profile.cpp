// All field paths of a heap of documents: how they are found, kept apart and merged.
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

constexpr size_t kTracked = 16;              // documents remembered by number, to merge a map's paths exactly
constexpr size_t kMapMembers = 100;          // distinct keys from which an object may be a map
constexpr size_t kMostMembers = 400;         // and from which it is one
constexpr size_t kCrowdMembers = 20;         // and from which it is taken for one when paths run out
constexpr uint64_t kLongestKeyValue = 2000;  // bytes; an index row holds little more

// A value as a reader recognises it: a scalar without its wrapper, anything else as JSON; cut.
std::string Readable(const Tape& tape, uint32_t node) {
    const Scalar s = Unwrap(tape, node);
    if (s.kind == ScalarKind::String) return CutShown(s.text);
    Bytes text;
    bool composite;
    if (!AppendScalarText(tape, s, &text, &composite) || composite) {
        text.Clear();
        JsonTextWriter().Write(tape, node, &text, kShown);
    }
    return CutShown({text.data(), text.size()});
}

}  // namespace

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
        sample_id_ = node != 0 ? Readable(*tape_, node) : CutShown(id_);
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
