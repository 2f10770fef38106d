// A document and a plan to one value per column, in one pass over the document.
#pragma once

#include <csignal>
#include <cstdint>
#include <vector>

#include "core/convert.h"
#include "core/plan.h"
#include "core/problem.h"
#include "core/tape.h"
#include "core/value.h"

namespace vm {

// What a transformation needs and leaves behind; reused from document to document, one per backend.
class Workspace {
  public:
    // Copies a document in and reads it. Reasons as ReadJson, and RootNotObject if `object` is wanted.
    Reason Read(std::string_view doc, bool utf8, bool judged, bool object,
                const volatile std::sig_atomic_t* cancel);

    // Converts the document that was read. At the first problem it stops, unless `all`: then every column is
    // tried and `problems` holds one entry per column, Reason::None where there is nothing to report.
    // False if there was a problem; problems.back() is it.
    bool Transform(const Plan& plan, bool all);

    // The document's own _id, readable: what messages name if the table has no _id column. Empty if there is
    // none.
    std::string DocumentId();

    // Gives memory back after a large document.
    void Trim();

    Tape tape;
    Output output;
    std::vector<Value> values;  // one per column of the plan
    std::vector<Problem> problems;
    int concatenated = -1;  // column whose "floor" met no object, or -1

  private:
    uint32_t Find(const Source& source) const;
    Reason Fill(const Plan& plan, const Column& column, Value* value, Problem* problem);
    bool FillCommon(const Plan::Common& common, Value* value);
    void UseFallback(const Column& column, Value* value);
    Reason CollectUnmapped(const Plan& plan, Value* value, Problem* problem);

    std::unique_ptr<char[]> buffer_;
    size_t capacity_ = 0;
    std::vector<uint32_t> slots_;  // node of each root field's value, 0 if absent
    std::vector<uint32_t> loose_;  // key nodes that no field of the plan wants
    std::vector<uint8_t> taken_;   // root fields that some column took whole
    std::vector<uint32_t> keys_;   // key node of each slot
};

}  // namespace vm
