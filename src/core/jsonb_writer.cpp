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

// The JEntry of the i-th of a container's entries, which has `len` bytes and brings its data to `total`.
inline uint32_t Entry(uint32_t i, uint32_t type, uint64_t len, uint64_t total) {
    return type |
           (i % kOffsetStride == 0 ? static_cast<uint32_t>(total) | kHasOffset : static_cast<uint32_t>(len));
}

bool JsonbWriter::Open(const Tape& tape, uint32_t node, bool scalar_root, Bytes* out) {
    const Node& n = tape[node];
    Frame f{};
    f.base = out->size();
    out->Align4();
    f.members = f.member = members_.size();
    if (scalar_root || n.type == Type::Array) {
        if (!scalar_root && n.count > kOffsetMask) return false;
        f.next = scalar_root ? node : node + 1;
        f.left = scalar_root ? 1 : static_cast<uint32_t>(n.count);
        out->AppendU32(f.left | kArray | (scalar_root ? kScalarArray : 0));
        f.entries = out->size();
        out->Extend(static_cast<size_t>(f.left) * 4);
    } else {
        f.is_object = true;
        f.left = static_cast<uint32_t>(AppendSortedMembers(tape, node, &members_));
        out->AppendU32(f.left | kObject);
        f.entries = out->size();
        out->Extend(static_cast<size_t>(f.left) * 8);
        for (; f.done < f.left; ++f.done) {
            const Node& key = tape[members_[f.members + f.done].key];
            out->AppendPadded(key.text, key.len);
            f.total += key.len;
            out->SetU32(f.entries + static_cast<size_t>(f.done) * 4,
                        Entry(f.done, kIsString, key.len, f.total));
        }
        if (f.total > kOffsetMask) return false;
    }
    frames_.push_back(f);
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
        Frame& f = frames_.back();
        bool opened = false;
        while (f.left > 0) {
            uint32_t value;
            --f.left;
            if (f.is_object) {
                value = members_[f.member++].key + 1;
            } else {
                value = f.next;
                f.next = tape.After(value);
            }
            const Node& n = tape[value];
            if (IsContainer(n)) {
                if (!Open(tape, value, false, out)) return false;
                opened = true;
                break;
            }
            const size_t before = out->size();
            const uint32_t type = AppendScalar(n, out);
            const uint64_t len = out->size() - before;
            f.total += len;
            out->SetU32(f.entries + static_cast<size_t>(f.done) * 4, Entry(f.done, type, len, f.total));
            ++f.done;
        }
        if (opened) continue;
        if (f.total > kOffsetMask) return false;

        // The container is whole: it is an entry of the one around it.
        const uint64_t len = out->size() - f.base;
        members_.resize(f.members);
        frames_.pop_back();
        if (frames_.empty()) break;
        Frame& outer = frames_.back();
        outer.total += len;
        if (outer.total > kOffsetMask) return false;
        out->SetU32(outer.entries + static_cast<size_t>(outer.done) * 4,
                    Entry(outer.done, kIsContainer, len, outer.total));
        ++outer.done;
    }
    if (out->size() - start > kOffsetMask + size_t{4}) return false;
    out->SetU32(start, VarlenaHeader(static_cast<uint32_t>(out->size() - start)));
    return true;
}

}  // namespace vm
