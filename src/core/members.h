// The members of an object in jsonb's order: by length of key, then bytes; of equal keys the last.
#pragma once

#include <cstdint>
#include <vector>

#include "core/tape.h"

namespace vm {

struct SortedMember {
    uint64_t order;  // length of the key, then its first four bytes
    uint32_t key;    // node of the key; its value is the next one
};

// Appends the members of the object at `node` to `members` and returns how many there are.
size_t AppendSortedMembers(const Tape& tape, uint32_t node, std::vector<SortedMember>* members);

}  // namespace vm
