// The wall between the core's C++ and the server's C: plain data in and out, nothing thrown, no call back.
//
// Handles are owned by the caller, who frees them. Texts are UTF-8 or the database's encoding with explicit
// lengths unless they are said to be NUL-terminated. What a row points to lives until the next call with the
// same space.
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>

#include "core/problem.h"
#include "core/value.h"

namespace vm {
class Workspace;
struct Plan;
class Profiler;
}  // namespace vm

namespace wall {

using vm::Kind;
using vm::Problem;
using vm::Reason;
using vm::Value;

struct Text {
    const char* data;
    size_t len;
};

// As vm::ColumnSpec; names are NUL-terminated.
struct ColumnSpec {
    const char* name;
    const char* type_name;
    Kind kind;
    bool array;
    bool required;
    bool by_default;
    bool has_default;
};

// What the server side needs to know of a compiled plan. Pointers live as long as the plan.
struct PlanInfo {
    const int* column_of;  // for each spec its column in the plan, or -1
    uint32_t columns;
    const uint32_t* watermark;  // columns
    uint32_t watermarks;
    bool quarantine;  // on_error
};

// One transformed document.
struct Row {
    const Value* values;      // one per column of the plan
    const Value* elements;    // what arrays refer to
    char* output;             // what offsets refer to
    const Problem* problems;  // one per column, if all were asked for
    int concatenated;         // column whose floor met no object, or -1
};

struct ReadOptions {
    bool utf8;    // the database's encoding is UTF8
    bool judged;  // jsonb_in accepted the document
    bool all;     // try every column, report every problem
    const volatile std::sig_atomic_t* cancel;
};

// A mapping's rules by themselves. None or BadRule.
Reason CheckRules(Text rules, Problem* problem) noexcept;

// nullptr with *problem filled if the rules cannot work for these columns. nargs < 0: no trigger, so no
// arguments.
vm::Plan* Compile(Text rules, const ColumnSpec* specs, size_t nspecs, const char* const* args, int nargs,
                  Problem* problem) noexcept;
void Free(vm::Plan* plan) noexcept;
PlanInfo Describe(const vm::Plan* plan) noexcept;

// nullptr if there is no memory.
vm::Workspace* NewWorkspace() noexcept;
void Free(vm::Workspace* space) noexcept;

// Transforms one document. Reason::None and *row, or why not and *problem.
Reason Transform(vm::Workspace* space, const vm::Plan* plan, Text doc, const ReadOptions& options, Row* row,
                 Problem* problem) noexcept;

// The _id of the document read last, NUL-terminated and cut to fit; empty if it has none.
void DocumentId(vm::Workspace* space, char* to, size_t size) noexcept;

// Gives back what a large document made it take.
void Trim(vm::Workspace* space) noexcept;

// A column of a plan in words, NUL-terminated and cut to fit.
struct ColumnWords {
    char source[256];
    char conversion[128];
    char fallback[128];
};
void Explain(const vm::Plan* plan, uint32_t column, ColumnWords* words) noexcept;

// Where a value of Transform came from: a field's path, a default or a trigger argument. Empty for nowhere.
void SourceOf(const vm::Plan* plan, uint32_t column, const Value* value, char* to, size_t size) noexcept;

// A profile of documents, gathered one by one.
vm::Profiler* NewProfile() noexcept;  // nullptr if there is no memory
void Free(vm::Profiler* profile) noexcept;
// Reads a document in `space` and takes it. None, or why it was not taken: NotJson, NeedsServer, Cancelled, …
Reason AddToProfile(vm::Profiler* profile, vm::Workspace* space, Text doc, Text id,
                    const ReadOptions& options) noexcept;
uint64_t ProfileDocuments(const vm::Profiler* profile) noexcept;   // objects
uint64_t ProfileNotObjects(const vm::Profiler* profile) noexcept;  // JSON, but no objects
size_t ProfileRows(const vm::Profiler* profile) noexcept;

// One path of a profile; texts are NUL-terminated and cut to fit.
struct ProfileRow {
    char path[512];
    char types[256];
    uint64_t documents;
    uint64_t nulls;
    uint64_t distinct;
    bool has_distinct;
    char smallest[256];
    char largest[256];
    char sample_id[256];
};
void ReadProfileRow(const vm::Profiler* profile, size_t i, ProfileRow* row) noexcept;

// The proposal for a parent, as vm::Propose writes it: NUL-terminated, to be freed with FreeText; nullptr if
// there is no memory.
char* ProposeScript(const vm::Profiler* profile, Text parent, Text mapping, Text schema,
                    Text source) noexcept;
void FreeText(char* text) noexcept;

}  // namespace wall
