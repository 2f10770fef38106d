// jsonb in its stored form, byte for byte as the server's jsonb_in writes it.
#pragma once

#include <cstdint>
#include <vector>

#include "core/bytes.h"
#include "core/members.h"
#include "core/tape.h"

namespace vm {

// Keeps its stacks from value to value. No recursion: documents may be as deep as memory allows.
class JsonbWriter {
  public:
    // Appends the value at `node` as a jsonb datum, 4-byte varlena header included, aligned to 4 bytes.
    // False, with the output undefined from where it was, if it is too large for jsonb (54000).
    // Source: jsonb_util.c, convertToJsonb.
    bool Write(const Tape& tape, uint32_t node, Bytes* out);

  private:
    // A container being written. Its keys are all there from the start; what is left are elements or values.
    struct Frame {
        uint32_t next;  // array: node of the next element; object: place in keys_ of the next member's key
        uint32_t left;  // elements or values still to write
        uint32_t done;  // JEntries written
        bool is_object;
        size_t base;     // where the container starts, alignment before it included
        size_t entries;  // where its JEntries start
        uint64_t total;  // bytes of its data so far
    };

    template <typename Cursor>
    bool Open(const Tape& tape, uint32_t node, bool scalar_root, Cursor* to, Frame* f);
    uint32_t SortKeys(const Tape& tape, uint32_t node);

    std::vector<Frame> frames_;          // around the one being written
    std::vector<uint32_t> keys_;         // of all open objects, in jsonb's order
    uint32_t used_ = 0;                  // of them
    std::vector<SortedMember> members_;  // of an object that takes more to sort
};

}  // namespace vm
