// A growing byte buffer for output: appended to, aligned, reused from document to document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

namespace vm {

// Addresses move when it grows: keep offsets while writing. Allocation failures throw std::bad_alloc.
class Bytes {
  public:
    size_t size() const { return size_; }
    size_t capacity() const { return capacity_; }
    char* data() { return data_.get(); }
    const char* data() const { return data_.get(); }
    void Clear() { size_ = 0; }
    void Resize(size_t size) {
        if (size > size_) Extend(size - size_);
        size_ = size;
    }

    // Room for n more bytes, and kSlack behind them; returns where they start. The caller fills all of them.
    char* Extend(size_t n) {
        if (n + kSlack > capacity_ - size_) Grow(n);
        char* at = data_.get() + size_;
        size_ += n;
        return at;
    }
    void Append(std::string_view s) {
        if (!s.empty()) std::memcpy(Extend(s.size()), s.data(), s.size());
    }
    void Append(char c) { *Extend(1) = c; }
    // The same for text with kSlack readable bytes from its start on: short ones are copied in one go.
    void AppendPadded(const char* text, size_t n) {
        char* to = Extend(n);
        if (n <= kSlack)
            std::memcpy(to, text, kSlack);
        else
            std::memcpy(to, text, n);
    }
    static constexpr size_t kSlack = 16;
    void AppendU32(uint32_t v) { std::memcpy(Extend(4), &v, 4); }
    void SetU32(size_t at, uint32_t v) { std::memcpy(data_.get() + at, &v, 4); }
    void Align4() {
        while (size_ & 3) Append('\0');
    }
    void Align8() {
        while (size_ & 7) Append('\0');
    }

    // Gives memory back if more than `keep` bytes are reserved.
    void Trim(size_t keep) {
        if (capacity_ > keep) {
            data_.reset();
            size_ = capacity_ = 0;
        }
    }

  private:
    void Grow(size_t n) {
        size_t capacity = capacity_ * 2;
        if (capacity < size_ + n + kSlack) capacity = size_ + n + kSlack;
        if (capacity < 4096) capacity = 4096;
        std::unique_ptr<char[]> bigger(new char[capacity]);
        if (size_) std::memcpy(bigger.get(), data_.get(), size_);
        data_ = std::move(bigger);
        capacity_ = capacity;
    }

    std::unique_ptr<char[]> data_;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

// The header of a varlena of `size` bytes, itself included, as the server's SET_VARSIZE writes it.
inline uint32_t VarlenaHeader(uint32_t size) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return size << 2;
#else
    return size & 0x3FFFFFFF;
#endif
}

}  // namespace vm
