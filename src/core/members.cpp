#include "core/members.h"

#include <algorithm>

namespace vm {

namespace {

constexpr size_t kInsertionSortMost = 24;

uint64_t OrderOf(const Node& key) {
    uint32_t head;
    std::memcpy(&head, key.text, sizeof(head));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    head = __builtin_bswap32(head);
#endif
    if (key.len < 4) head = key.len == 0 ? 0 : head >> (8 * (4 - key.len));
    return static_cast<uint64_t>(key.len) << 32 | head;
}

// <0, 0, >0 by jsonb's order of keys alone.
int Compare(const Tape& tape, const SortedMember& a, const SortedMember& b) {
    if (a.order != b.order) return a.order < b.order ? -1 : 1;
    const Node& x = tape[a.key];
    return x.len <= 4 ? 0 : std::memcmp(x.text + 4, tape[b.key].text + 4, x.len - 4);
}

// Length of the key, its first five bytes and where it stands, in one number: sorting takes nothing else.
constexpr int kPlaceBits = 16;
constexpr uint64_t kHeadMask[] = {0,
                                  uint64_t{0xFF} << 48,
                                  uint64_t{0xFFFF} << 40,
                                  uint64_t{0xFFFFFF} << 32,
                                  uint64_t{0xFFFFFFFF} << 24,
                                  uint64_t{0xFFFFFFFFFF} << 16};

uint64_t PackedOrder(const Node& key, uint32_t place) {
    uint64_t head;
    std::memcpy(&head, key.text, sizeof(head));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    head = __builtin_bswap64(head);
#endif
    return static_cast<uint64_t>(key.len) << 56 | (head >> 8 & kHeadMask[key.len < 5 ? key.len : 5]) | place;
}

}  // namespace

bool SortSmallObject(const Tape& tape, uint32_t node, uint32_t* keys) {
    const uint64_t n = tape[node].count;
    if (n > kInsertionSortMost || tape[node].len - node > 1u << kPlaceBits) return false;
    uint64_t packed[kInsertionSortMost];
    uint32_t longest = 0;
    bool differ = true;
    uint32_t at = node + 1;
    for (uint64_t i = 0; i < n; ++i, at = tape.After(at + 1)) {
        longest |= tape[at].len;
        const uint64_t x = PackedOrder(tape[at], at - node);
        uint64_t j = i;
        for (; j > 0 && packed[j - 1] > x; --j) packed[j] = packed[j - 1];
        packed[j] = x;
        differ = differ && (j == 0 || (packed[j - 1] ^ x) >> kPlaceBits != 0);
    }
    if (longest > 255 || !differ) return false;
    for (uint64_t i = 0; i < n; ++i) keys[i] = node + static_cast<uint32_t>(packed[i] & 0xFFFF);
    return true;
}

size_t AppendSortedMembers(const Tape& tape, uint32_t node, std::vector<SortedMember>* members) {
    const size_t first = members->size();
    const size_t n = static_cast<size_t>(tape[node].count);
    members->resize(first + n);
    SortedMember* m = members->data() + first;
    bool equal = false;
    const auto before = [&](const SortedMember& a, const SortedMember& b) {
        if (a.order != b.order) return a.order < b.order;
        const int c = Compare(tape, a, b);
        if (c == 0) equal = true;
        return c != 0 ? c < 0 : a.key < b.key;
    };
    uint32_t at = node + 1;
    if (n > kInsertionSortMost) {
        for (size_t i = 0; i < n; ++i, at = tape.After(at + 1)) m[i] = {OrderOf(tape[at]), at};
        std::sort(m, m + n, before);
    } else {
        for (size_t i = 0; i < n; ++i, at = tape.After(at + 1)) {
            const SortedMember x{OrderOf(tape[at]), at};
            size_t j = i;
            for (; j > 0 && before(x, m[j - 1]); --j) m[j] = m[j - 1];
            m[j] = x;
        }
    }
    if (!equal) return n;

    size_t kept = 0;
    for (size_t i = 0; i < n; ++i) {
        if (i + 1 < n && Compare(tape, m[i], m[i + 1]) == 0) continue;
        m[kept++] = m[i];
    }
    members->resize(first + kept);
    return kept;
}

}  // namespace vm
