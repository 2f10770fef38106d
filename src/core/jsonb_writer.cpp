#include "core/jsonb_writer.h"

#include "core/decimal.h"

namespace vm {

namespace {

// From jsonb.h.
constexpr uint32_t kOffsetMask = 0x0FFFFFFF;  // JENTRY_OFFLENMASK; also JB_CMASK
constexpr uint32_t kIsString = 0x00000000;
constexpr uint32_t kIsNumeric = 0x10000000;
constexpr uint32_t kIsFalse = 0x20000000;
constexpr uint32_t kIsTrue = 0x30000000;
constexpr uint32_t kIsNull = 0x40000000;
constexpr uint32_t kIsContainer = 0x50000000;
constexpr uint32_t kHasOffset = 0x80000000;
constexpr uint32_t kScalarArray = 0x10000000;  // JB_FSCALAR
constexpr uint32_t kObject = 0x20000000;       // JB_FOBJECT
constexpr uint32_t kArray = 0x40000000;        // JB_FARRAY
constexpr uint32_t kOffsetStride = 32;         // JB_OFFSET_STRIDE

// Appends a scalar's bytes and returns its JEntry type.
uint32_t AppendScalar(const Node& n, Bytes* out) {
    switch (n.type) {
        case Type::Null: return kIsNull;
        case Type::False: return kIsFalse;
        case Type::True: return kIsTrue;
        case Type::Number:
            out->Align4();
            AppendNumericFromJson({n.text, n.len}, out);
            return kIsNumeric;
        default: out->AppendPadded(n.text, n.len); return kIsString;
    }
}

}  // namespace

bool JsonbWriter::Open(const Tape& tape, uint32_t node, bool scalar_root, Bytes* out) {
    const Node& n = tape[node];
    Frame f{};
    f.base = out->size();
    out->Align4();
    f.is_object = !scalar_root && n.type == Type::Object;
    f.members = members_.size();
    uint32_t flags;
    if (scalar_root) {
        f.end = node + 1;
        f.next = node;
        f.count = 1;
        flags = kArray | kScalarArray;
    } else if (f.is_object) {
        f.end = n.len;
        f.count = static_cast<uint32_t>(AppendSortedMembers(tape, node, &members_));
        flags = kObject;
    } else {
        if (n.count > kOffsetMask) return false;
        f.end = n.len;
        f.next = node + 1;
        f.count = static_cast<uint32_t>(n.count);
        flags = kArray;
    }
    out->AppendU32(f.count | flags);
    f.entries = out->size();
    out->Extend(static_cast<size_t>(f.count) * (f.is_object ? 8 : 4));
    frames_.push_back(f);
    return true;
}

// Fills in the entry that was just written, in the innermost open container.
inline bool JsonbWriter::Finish(uint32_t type, uint64_t len, Bytes* out) {
    Frame& f = frames_.back();
    f.total += len;
    if (len > kOffsetMask || f.total > kOffsetMask) return false;
    const uint32_t meta = f.done % kOffsetStride == 0 ? static_cast<uint32_t>(f.total) | kHasOffset
                                                      : static_cast<uint32_t>(len);
    out->SetU32(f.entries + static_cast<size_t>(f.done) * 4, meta | type);
    ++f.done;
    return true;
}

bool JsonbWriter::Write(const Tape& tape, uint32_t node, Bytes* out) {
    frames_.clear();
    members_.clear();
    out->Align4();
    const size_t start = out->size();
    out->AppendU32(0);
    if (!Open(tape, node, !IsContainer(tape[node]), out)) return false;

    for (;;) {
        const size_t depth = frames_.size();
        Frame& f = frames_.back();
        const uint32_t entries = f.is_object ? f.count * 2 : f.count;
        if (f.done == entries) {  // the container is whole: it is an entry of the one around it
            const size_t base = f.base;
            members_.resize(f.members);
            frames_.pop_back();
            if (frames_.empty()) break;
            if (!Finish(kIsContainer, out->size() - base, out)) return false;
            continue;
        }
        uint32_t value;
        if (!f.is_object) {
            value = f.next;
            f.next = tape.After(value);
        } else if (f.done < f.count) {
            const Node& key = tape[members_[f.members + f.done].key];
            out->AppendPadded(key.text, key.len);
            if (!Finish(kIsString, key.len, out)) return false;
            continue;
        } else {
            value = members_[f.members + f.done - f.count].key + 1;
        }
        const Node& n = tape[value];
        if (IsContainer(n)) {
            if (!Open(tape, value, false, out)) return false;
        } else {
            const size_t before = out->size();
            const uint32_t type = AppendScalar(n, out);
            if (frames_.size() != depth || !Finish(type, out->size() - before, out)) return false;
        }
    }
    out->SetU32(start, VarlenaHeader(static_cast<uint32_t>(out->size() - start)));
    return true;
}

}  // namespace vm
