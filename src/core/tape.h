// A document as one flat array of nodes, in document order.
//
// Node 0 is the root. An array is followed by its elements, an object by key, value, key, value …; both
// know the index of the first node after them. Text points into the buffer the document was read in, is
// valid UTF-8 without NUL (as far as the caller's text was), and lives as long as that buffer is unchanged.
// Behind every text kTextPadding bytes can be read.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>

namespace vm {

enum class Type : uint8_t { Null, False, True, Number, String, Array, Object, Key };

struct Node {
    union {
        char* text;      // String, Key, Number: the bytes. String and Key are NUL-terminated, Number is not.
        uint64_t count;  // Array: elements. Object: members as written, equal keys counted.
    };
    uint32_t len;  // String, Key, Number: bytes. Array, Object: index of the first node after it.
    Type type;
    bool dollar;  // Object: some key starts with '$', so it may be an Extended JSON wrapper.
};
constexpr uint32_t kTextPadding = 16;
static_assert(sizeof(Node) == 16, "a node is two words");

inline bool IsContainer(const Node& n) {
    return n.type == Type::Array || n.type == Type::Object;
}

// The nodes of one document; capacity stays from one document to the next.
class Tape {
  public:
    Node& operator[](uint32_t i) { return nodes_[i]; }
    const Node& operator[](uint32_t i) const { return nodes_[i]; }
    Node* data() { return nodes_.get(); }
    uint32_t size() const { return size_; }
    uint32_t capacity() const { return capacity_; }
    void Clear() { size_ = 0; }
    // Index of the node after the value at i.
    uint32_t After(uint32_t i) const { return IsContainer(nodes_[i]) ? nodes_[i].len : i + 1; }

    // Appends a node and returns its index. Throws std::bad_alloc.
    uint32_t Push(Type type, char* text, uint32_t len) {
        if (size_ == capacity_) Grow();
        Node& n = nodes_[size_];
        n.text = text;
        n.len = len;
        n.type = type;
        n.dollar = false;
        return size_++;
    }

    // For who writes nodes by their address: room for as many again, and how many there are now.
    void Grow() {
        const uint32_t capacity = capacity_ ? capacity_ * 2 : 256;
        std::unique_ptr<Node[]> bigger(new Node[capacity]);
        if (size_) std::memcpy(bigger.get(), nodes_.get(), size_ * sizeof(Node));
        nodes_ = std::move(bigger);
        capacity_ = capacity;
    }
    void SetSize(uint32_t size) { size_ = size; }

    // Gives memory back if more than `nodes` are reserved.
    void Trim(uint32_t nodes) {
        if (capacity_ > nodes) {
            nodes_.reset();
            capacity_ = size_ = 0;
        }
    }

  private:
    std::unique_ptr<Node[]> nodes_;
    uint32_t size_ = 0;
    uint32_t capacity_ = 0;
};

}  // namespace vm
