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
        uint32_t next;   // array: node of the next element
        uint32_t left;   // elements or values still to write
        uint32_t done;   // JEntries written
        size_t base;     // where the container starts, alignment before it included
        size_t entries;  // where its JEntries start
        uint64_t total;  // bytes of its data so far
        size_t members;  // object: first of its sorted members
        size_t member;   // object: the next of them
        bool is_object;
    };

    bool Open(const Tape& tape, uint32_t node, bool scalar_root, Bytes* out);

    std::vector<Frame> frames_;
    std::vector<SortedMember> members_;
};

}  // namespace vm
