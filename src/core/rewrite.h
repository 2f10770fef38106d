// Values changed before they are stored as jsonb: written as a new tape, so that one writer serves all.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/problem.h"
#include "core/tape.h"

namespace vm {

// Texts made while rewriting; addresses are stable until Clear.
class TextPool {
  public:
    char* Add(std::string_view text);
    void Clear();

  private:
    static constexpr size_t kChunk = 16384;
    void NewChunk() {
        chunks_.emplace_back(new char[kChunk]);
        used_ = 0;
    }
    std::vector<std::unique_ptr<char[]>> chunks_;  // the last is the one in use
    size_t used_ = 0;
};

// An integer-like member of an object: its name, and the text of the number if it is missing or null.
struct Floor {
    std::string name;
    std::string fallback;
};

// All append one value to `out` and return its node there.
class Rewriter {
  public:
    void Clear() { pool_.Clear(); }

    // The value as it is.
    uint32_t Copy(const Tape& in, uint32_t node, Tape* out);

    // Wrappers become plain JSON wherever plain JSON can hold them, at any depth; the rest stays.
    uint32_t Normalize(const Tape& in, uint32_t node, Tape* out);

    // Object: each named member becomes the floor of its number, exactly. Anything else is concatenated with
    // an object of the fallbacks, as jsonb's || does it, and *concatenated is set. Reasons: InvalidText if a
    // member is no number, NumberRange if numeric cannot hold it; *bad says which floor.
    Reason ApplyFloors(const Tape& in, uint32_t node, const std::vector<Floor>& floors, Tape* out,
                       uint32_t* result, bool* concatenated, size_t* bad);

    // The members of the root whose keys' nodes are listed, as an object.
    uint32_t Collect(const Tape& in, const std::vector<uint32_t>& keys, Tape* out);

  private:
    uint32_t PushText(Type type, std::string_view text, Tape* out);
    bool PushPlain(const Tape& in, uint32_t node, Tape* out);

    TextPool pool_;
    Bytes scratch_;
};

}  // namespace vm
