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

// The same for small objects whose keys differ in length or in their first five bytes, as nearly all do: the
// nodes of the keys to `keys`, which has room for the members as written. False, with *keys undefined, for
// any other.
bool SortSmallObject(const Tape& tape, uint32_t node, uint32_t* keys);

}  // namespace vm
