// jsonb's stored form back to text, written from the server's jsonb.h and numeric.c alone: what the core's
// writers produce is read here by other code than theirs.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "core/json_text.h"

namespace vm_test {

inline uint32_t U32(const char* p) {
    uint32_t v;
    std::memcpy(&v, p, 4);
    return v;
}

// The bytes of a varlena after its header. Little-endian machines only.
inline std::string_view VarlenaPayload(const char* p) {
    const unsigned char head = static_cast<unsigned char>(*p);
    if (head & 1) return {p + 1, static_cast<size_t>(head >> 1) - 1};
    return {p + 4, (U32(p) >> 2) - 4};
}

// Text of a stored numeric. False if it is not as the server would have stored it.
inline bool NumericText(std::string_view payload, std::string* out) {
    const auto half = [&](size_t i) {
        uint16_t v;
        std::memcpy(&v, payload.data() + i * 2, 2);
        return v;
    };
    if (payload.size() < 2 || payload.size() % 2 != 0) return false;
    const uint16_t head = half(0);
    if ((head & 0xC000) == 0xC000) {
        *out = head == 0xC000 ? "NaN" : head == 0xD000 ? "Infinity" : "-Infinity";
        return payload.size() == 2 && (head == 0xC000 || head == 0xD000 || head == 0xF000);
    }
    const bool is_short = head & 0x8000;
    const bool negative = head & (is_short ? 0x2000 : 0x4000);
    const int scale = is_short ? (head & 0x1F80) >> 7 : head & 0x3FFF;
    if (!is_short && payload.size() < 4) return false;
    const int weight =
        is_short ? (head & 0x40 ? (head & 0x3F) - 64 : head & 0x3F) : static_cast<int16_t>(half(1));
    const size_t first = is_short ? 1 : 2, n = payload.size() / 2 - first;
    if (n == 0 && (weight != 0 || negative)) return false;
    if (n > 0 && (half(first) == 0 || half(first + n - 1) == 0)) return false;
    if (!is_short && scale <= 63 && weight >= -64 && weight <= 63) return false;

    const auto group = [&](int w) {
        const int i = weight - w;
        const unsigned v = i >= 0 && static_cast<size_t>(i) < n ? half(first + static_cast<size_t>(i)) : 0u;
        std::string s = std::to_string(v);
        return std::string(s.size() < 4 ? 4 - s.size() : 0, '0') + s;
    };
    for (size_t i = 0; i < n; ++i)
        if (half(first + i) > 9999) return false;
    std::string whole, fraction;
    for (int w = weight; w >= 0; --w) whole += group(w);
    whole.erase(0, whole.find_first_not_of('0'));
    for (int w = -1; static_cast<int>(fraction.size()) < scale; --w) fraction += group(w);
    // Nothing may hide behind the digits that are shown.
    if (fraction.find_first_not_of('0', static_cast<size_t>(scale)) != std::string::npos) return false;
    if (static_cast<int>(n) - weight - 1 > (scale + 3) / 4) return false;
    fraction.resize(static_cast<size_t>(scale));
    *out = (negative ? "-" : "") + (whole.empty() ? "0" : whole) + (scale ? "." + fraction : "");
    return true;
}

class JsonbText {
  public:
    // As jsonb_out prints the datum at `p`. False if it is malformed.
    bool Read(const char* p, std::string* out) {
        out_ = out;
        out->clear();
        if (reinterpret_cast<uintptr_t>(p) % 4 != 0 || (U32(p) & 3) != 0 || (U32(p) >> 2) < 8) return false;
        return Container(p + 4, (U32(p) >> 2) - 4, true);
    }

  private:
    bool Container(const char* p, size_t size, bool root) {
        if (size < 4) return false;
        const uint32_t head = U32(p), kind = head & 0x70000000, count = head & 0x0FFFFFFF;
        if (kind == 0x50000000 ? !root || count != 1 : kind != 0x20000000 && kind != 0x40000000) return false;
        const bool object = kind == 0x20000000;
        const uint64_t entries = static_cast<uint64_t>(count) * (object ? 2 : 1);
        if (4 + entries * 4 > size) return false;
        const char* data = p + 4 + entries * 4;
        const uint64_t room = size - 4 - entries * 4;
        uint64_t start = 0;
        std::string_view before;
        if (kind != 0x50000000) *out_ += object ? '{' : '[';
        // Values of an object stand behind all keys, so their ends are found first.
        uint64_t key_start = 0, value_start = 0;
        if (object)
            for (uint32_t i = 0; i < count; ++i)
                if (!Step(p, i, room, &value_start)) return false;
        for (uint32_t i = 0; i < count; ++i) {
            if (i > 0) *out_ += ", ";
            if (object) {
                const uint64_t from = key_start;
                if (!Step(p, i, room, &key_start) || (Entry(p, i) & 0x70000000) != 0) return false;
                const std::string_view key(data + from, key_start - from);
                if (i > 0 && !(before.size() != key.size() ? before.size() < key.size() : before < key))
                    return false;
                before = key;
                String(key);
                *out_ += ": ";
            }
            uint64_t* at = object ? &value_start : &start;
            const uint64_t from = *at;
            const uint32_t entry = object ? i + count : i;
            if (!Step(p, entry, room, at)) return false;
            if (!Value(Entry(p, entry) & 0x70000000, data + from, *at - from)) return false;
        }
        if ((object ? value_start : start) != room) return false;
        if (kind != 0x50000000) *out_ += object ? '}' : ']';
        return true;
    }

    static uint32_t Entry(const char* p, uint32_t i) { return U32(p + 4 + static_cast<size_t>(i) * 4); }

    // From where an entry starts to where it ends. Every 32nd says where, the others how long.
    static bool Step(const char* p, uint32_t i, uint64_t room, uint64_t* at) {
        const uint32_t e = Entry(p, i), n = e & 0x0FFFFFFF;
        if (((e & 0x80000000) != 0) != (i % 32 == 0)) return false;
        const uint64_t end = e & 0x80000000 ? n : *at + n;
        if (end < *at || end > room) return false;
        *at = end;
        return true;
    }

    bool Value(uint32_t type, const char* p, uint64_t len) {
        const uint64_t pad = (4 - reinterpret_cast<uintptr_t>(p) % 4) % 4;
        switch (type) {
            case 0: String({p, len}); return true;
            case 0x10000000: {
                if (len < pad + 6 || (U32(p + pad) >> 2) != len - pad || (U32(p + pad) & 3) != 0)
                    return false;
                std::string text;
                if (!NumericText({p + pad + 4, len - pad - 4}, &text)) return false;
                *out_ += text;
                return true;
            }
            case 0x20000000: *out_ += "false"; return len == 0;
            case 0x30000000: *out_ += "true"; return len == 0;
            case 0x40000000: *out_ += "null"; return len == 0;
            case 0x50000000: return len >= pad && Container(p + pad, len - pad, false);
            default: return false;
        }
    }

    void String(std::string_view s) {
        vm::Bytes quoted;
        vm::AppendJsonString(s, &quoted);
        out_->append(quoted.data(), quoted.size());
    }

    std::string* out_ = nullptr;
};

}  // namespace vm_test
