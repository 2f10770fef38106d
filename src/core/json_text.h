// JSON as text, as jsonb_out prints it: keys in jsonb's order, one blank after colon and comma, numbers as
// numeric.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/members.h"
#include "core/tape.h"

namespace vm {

// Keeps its stacks from value to value. No recursion.
class JsonTextWriter {
  public:
    // Appends the value at `node`. Stops early, with what it has, once more than `most` bytes were appended.
    void Write(const Tape& tape, uint32_t node, Bytes* out, size_t most = SIZE_MAX);

  private:
    struct Frame {
        uint32_t next;  // array: node of the next element
        uint32_t count;
        uint32_t done;
        size_t members;
        bool is_object;
    };
    std::vector<Frame> frames_;
    std::vector<SortedMember> members_;
};

// Appends a string with quotes, escaped as the server's escape_json does it.
void AppendJsonString(std::string_view text, Bytes* out);

}  // namespace vm
