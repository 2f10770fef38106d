// How many different values there are: exact while they are few, a HyperLogLog estimate after that.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

namespace vm {

// Well mixed, the same on every run and machine of one byte order; not meant to withstand an adversary.
inline uint64_t MixHash(uint64_t h) {
    h = (h ^ (h >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    h = (h ^ (h >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    return h ^ (h >> 32);
}

inline uint64_t HashBytes(std::string_view s, uint64_t seed) {
    uint64_t h = MixHash(seed ^ (s.size() * UINT64_C(0x9E3779B97F4A7C15)));
    for (size_t i = 0; i < s.size(); i += 8) {
        uint64_t word = 0;
        std::memcpy(&word, s.data() + i, std::min<size_t>(8, s.size() - i));
        h ^= word * UINT64_C(0x87C37B91114253D5);
        h = ((h << 31) | (h >> 33)) * UINT64_C(0x4CF5AD432745937F);
    }
    return MixHash(h);
}

// Counts distinct 64-bit hashes in at most 2 kB: exactly up to kExact, then within about 2 %.
class DistinctCounter {
  public:
    void Add(uint64_t hash) {
        if (registers_ != nullptr) return AddToRegisters(hash);
        const auto at = std::lower_bound(exact_.begin(), exact_.end(), hash);
        if (at != exact_.end() && *at == hash) return;
        if (exact_.size() < kExact) {
            exact_.insert(at, hash);
            return;
        }
        registers_.reset(new uint8_t[kRegisters]());
        for (uint64_t h : exact_) AddToRegisters(h);
        AddToRegisters(hash);
        std::vector<uint64_t>().swap(exact_);
    }

    void Merge(const DistinctCounter& other) {
        for (uint64_t h : other.exact_) Add(h);
        if (other.registers_ == nullptr) return;
        if (registers_ == nullptr) {
            registers_.reset(new uint8_t[kRegisters]());
            for (uint64_t h : exact_) AddToRegisters(h);
            std::vector<uint64_t>().swap(exact_);
        }
        for (size_t i = 0; i < kRegisters; ++i) registers_[i] = std::max(registers_[i], other.registers_[i]);
    }

    uint64_t Estimate() const {
        if (registers_ == nullptr) return exact_.size();
        constexpr double m = kRegisters;
        double sum = 0;
        size_t zeros = 0;
        for (size_t i = 0; i < kRegisters; ++i) {
            sum += std::ldexp(1.0, -registers_[i]);
            zeros += registers_[i] == 0;
        }
        double estimate = 0.7213 / (1 + 1.079 / m) * m * m / sum;
        // While many registers are empty, counting those is the better estimate.
        if (estimate <= 2.5 * m && zeros > 0) estimate = m * std::log(m / static_cast<double>(zeros));
        return static_cast<uint64_t>(std::llround(estimate));
    }

  private:
    static constexpr int kBits = 11;
    static constexpr size_t kRegisters = size_t{1} << kBits;
    static constexpr size_t kExact = 256;

    void AddToRegisters(uint64_t hash) {
        const size_t i = static_cast<size_t>(hash >> (64 - kBits));
        const uint64_t rest = (hash << kBits) | (UINT64_C(1) << (kBits - 1));  // never zero
        const uint8_t rank = static_cast<uint8_t>(__builtin_clzll(rest) + 1);
        registers_[i] = std::max(registers_[i], rank);
    }

    std::vector<uint64_t> exact_;  // sorted
    std::unique_ptr<uint8_t[]> registers_;
};

// A set of 64-bit hashes that only grows, for "has this been seen before?".
class HashSet {
  public:
    // False if it was there already. Throws std::bad_alloc.
    bool Insert(uint64_t hash) {
        if (hash == 0) hash = 1;  // 0 marks an empty slot
        if (size_ * 4 >= slots_.size() * 3) Grow();
        if (!Place(&slots_, hash)) return false;
        ++size_;
        return true;
    }
    size_t size() const { return size_; }
    void Free() {
        std::vector<uint64_t>().swap(slots_);
        size_ = 0;
    }

  private:
    static bool Place(std::vector<uint64_t>* slots, uint64_t hash) {
        const size_t mask = slots->size() - 1;
        size_t i = static_cast<size_t>(hash) & mask;
        while ((*slots)[i] != 0) {
            if ((*slots)[i] == hash) return false;
            i = (i + 1) & mask;
        }
        (*slots)[i] = hash;
        return true;
    }
    void Grow() {
        std::vector<uint64_t> bigger(slots_.empty() ? 64 : slots_.size() * 2);
        for (uint64_t h : slots_)
            if (h != 0) Place(&bigger, h);
        slots_.swap(bigger);
    }

    std::vector<uint64_t> slots_;
    size_t size_ = 0;
};

}  // namespace vm
