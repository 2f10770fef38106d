#include "core/jsonb_writer.h"

#include "core/decimal.h"
#include "core/short_numeric.h"

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

// The output by addresses. Handed on by value or inlined, so that they stay in registers.
struct Cursor {
    Bytes* out;
    char* start;
    char* p;
    char* end;

    explicit Cursor(Bytes* to)
        : out(to), start(to->data()), p(start + to->size()), end(start + to->capacity()) {}

    size_t at() const { return static_cast<size_t>(p - start); }
    void Store() const { out->Resize(at()); }
    // Room for n more bytes, and Bytes::kSlack behind them; what follows takes it for granted.
    void Need(size_t n) {
        if (__builtin_expect(n + Bytes::kSlack > static_cast<size_t>(end - p), 0)) *this = Grown(*this, n);
    }
    void Align4() {
        std::memset(p, 0, 4);  // what is not in between stays to be overwritten
        p += -at() & 3;
    }
    void PutU32(uint32_t v) {
        std::memcpy(p, &v, 4);
        p += 4;
    }
    void SetU32(size_t at, uint32_t v) const { std::memcpy(start + at, &v, 4); }
    void PutText(const char* text, uint32_t n) {
        if (n <= 16) {
            std::memcpy(p, text, 16);  // see kTextPadding
        } else if (n <= 32) {
            std::memcpy(p, text, 16);
            std::memcpy(p + n - 16, text + n - 16, 16);
        } else {
            std::memcpy(p, text, n);
        }
        p += n;
    }
    void PutNumeric(const Node& n) {
        Need(4 + kShortNumericMost);
        Align4();
        const size_t size = ShortNumeric(n.text, n.len, p);
        p += size;
        if (size == 0) *this = WithNumeric(*this, n);
    }

  private:
    [[gnu::noinline]] static Cursor Grown(Cursor c, size_t n) {
        const size_t size = c.at();
        c.Store();
        c.out->Extend(n);
        c.out->Resize(size);
        return Cursor(c.out);
    }
    [[gnu::noinline]] static Cursor WithNumeric(Cursor c, const Node& n) {
        c.Store();
        AppendNumericFromJson({n.text, n.len}, c.out);
        return Cursor(c.out);
    }
};

// The JEntry of the i-th of a container's entries, which has `len` bytes and brings its data to `total`.
inline uint32_t Entry(uint32_t i, uint32_t type, uint64_t len, uint64_t total) {
    return type |
           (i % kOffsetStride == 0 ? static_cast<uint32_t>(total) | kHasOffset : static_cast<uint32_t>(len));
}

}  // namespace

// Adds the keys of the object at `node` to keys_ and returns how many they are.
uint32_t JsonbWriter::SortKeys(const Tape& tape, uint32_t node) {
    const size_t most = used_ + static_cast<size_t>(tape[node].count);
    if (most > keys_.size()) keys_.resize(most * 2);
    if (tape[node].count == 1) {
        keys_[used_] = node + 1;
        return 1;
    }
    if (SortSmallObject(tape, node, keys_.data() + used_)) return static_cast<uint32_t>(tape[node].count);
    members_.clear();
    const size_t n = AppendSortedMembers(tape, node, &members_);
    for (size_t i = 0; i < n; ++i) keys_[used_ + i] = members_[i].key;
    return static_cast<uint32_t>(n);
}

// Writes what stands before a container's elements or values: header, room for the JEntries, keys.
template <typename Cursor>
inline bool JsonbWriter::Open(const Tape& tape, uint32_t node, bool scalar_root, Cursor* to, Frame* f) {
    const Node& n = tape[node];
    to->Need(8);
    f->base = to->at();
    to->Align4();
    f->is_object = !scalar_root && n.type == Type::Object;
    f->done = 0;
    f->total = 0;
    if (f->is_object) {
        f->left = SortKeys(tape, node);
        f->next = used_;
        used_ += f->left;
    } else {
        if (!scalar_root && n.count > kOffsetMask) return false;
        f->next = scalar_root ? node : node + 1;
        f->left = scalar_root ? 1 : static_cast<uint32_t>(n.count);
    }
    to->PutU32(f->left | (f->is_object ? kObject : scalar_root ? kArray | kScalarArray : kArray));
    f->entries = to->at();
    const size_t size = static_cast<size_t>(f->left) * (f->is_object ? 8 : 4);
    to->Need(size);
    to->p += size;
    if (!f->is_object) return true;

    const uint32_t* keys = keys_.data() + f->next;
    for (; f->done < f->left; ++f->done) {
        const Node& key = tape[keys[f->done]];
        to->Need(key.len);
        to->PutText(key.text, key.len);
        f->total += key.len;
        to->SetU32(f->entries + static_cast<size_t>(f->done) * 4,
                   Entry(f->done, kIsString, key.len, f->total));
    }
    return f->total <= kOffsetMask;
}

bool JsonbWriter::Write(const Tape& tape, uint32_t node, Bytes* out) {
    size_t depth = 0;  // frames in use
    used_ = 0;
    out->Align4();
    const size_t start = out->size();
    out->AppendU32(0);
    Cursor to(out);
    bool scalar_root = !IsContainer(tape[node]);
    for (uint32_t value = node;;) {
        Frame f;
        if (!Open(tape, value, scalar_root, &to, &f)) return false;
        scalar_root = false;
        for (;;) {
            bool nested = false;
            while (f.left > 0) {
                --f.left;
                if (f.is_object) {
                    value = keys_[f.next++] + 1;
                } else {
                    value = f.next;
                    f.next = tape.After(value);
                }
                const Node& n = tape[value];
                const size_t before = to.at();
                uint32_t type;
                if (n.type == Type::String) {
                    to.Need(n.len);
                    to.PutText(n.text, n.len);
                    type = kIsString;
                } else if (n.type == Type::Number) {
                    to.PutNumeric(n);
                    type = kIsNumeric;
                } else if (IsContainer(n)) {
                    nested = true;
                    break;
                } else {
                    type = n.type == Type::Null ? kIsNull : n.type == Type::True ? kIsTrue : kIsFalse;
                }
                const uint64_t len = to.at() - before;
                f.total += len;
                to.SetU32(f.entries + static_cast<size_t>(f.done) * 4, Entry(f.done, type, len, f.total));
                ++f.done;
            }
            if (nested) {
                if (depth == frames_.size()) frames_.resize(depth * 2 + 8);
                frames_[depth++] = f;  // from registers: push_back would have it in memory first
                break;
            }
            if (f.total > kOffsetMask) return false;

            // The container is whole: it is an entry of the one around it.
            if (f.is_object) used_ = f.next - f.done / 2;
            if (depth == 0) {
                to.Store();
                if (out->size() - start > kOffsetMask + size_t{4}) return false;
                out->SetU32(start, VarlenaHeader(static_cast<uint32_t>(out->size() - start)));
                return true;
            }
            const uint64_t len = to.at() - f.base;
            f = frames_[--depth];
            f.total += len;
            if (f.total > kOffsetMask) return false;
            to.SetU32(f.entries + static_cast<size_t>(f.done) * 4, Entry(f.done, kIsContainer, len, f.total));
            ++f.done;
        }
    }
}

}  // namespace vm
