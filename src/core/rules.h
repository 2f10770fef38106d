// A mapping's rules as written, read from JSON but not yet matched with a table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/convert.h"
#include "core/plan.h"
#include "core/problem.h"

namespace vm {

struct ColumnRule {
    std::string column;
    std::vector<std::string> from;
    Conversion as = Conversion::Own;
    bool normalize = false;
    bool ignore = false;
    bool has_default = false;
    int default_arg = 0;
    std::string default_text;  // JSON
    std::vector<Floor> floors;
};

struct Rules {
    std::vector<ColumnRule> columns;
    std::vector<std::string> watermark;
    std::string unmapped;
    OnError on_error = OnError::Raise;
};

// False, with the key and what is wrong with it in *problem, if the rules are not of the documented form.
bool ReadRules(std::string_view text, Rules* rules, Problem* problem);

// Fills *problem with a complaint about a rule and returns false.
bool Complain(Problem* problem, std::string_view key, std::string_view text, std::string_view hint);

}  // namespace vm
