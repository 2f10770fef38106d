// A mapping's rules: whatever is written there is refused with a readable problem, or makes a plan that
// works.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/plan.h"
#include "core/transform.h"
#include "json_grammar.h"

namespace {

using namespace vm;

void Check(bool good) {
    if (!good) std::abort();
}

const std::vector<ColumnSpec>& Specs() {
    static const std::vector<ColumnSpec> specs = [] {
        std::vector<ColumnSpec> made;
        for (int k = 0; k <= static_cast<int>(Kind::Other); ++k)
            for (int array = 0; array < 2; ++array) {
                ColumnSpec spec;
                spec.name = std::string(1, static_cast<char>((array ? 'A' : 'a') + k));  // a to q, A to Q
                spec.type_name = "some_type";
                spec.kind = static_cast<Kind>(k);
                spec.array = array != 0;
                spec.by_default = k % 2 == 0;
                made.push_back(spec);
            }
        return made;
    }();
    return specs;
}

void CheckComplaint(const Problem& problem) {
    Check(problem.reason == Reason::BadRule && problem.text[0] != '\0');
    for (const char* text : {problem.path, problem.text, problem.hint}) Check(vm_test::ValidUtf8(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view rules(reinterpret_cast<const char*>(data), size);
    if (rules.find('\0') != std::string_view::npos || !vm_test::ValidUtf8(rules))
        return -1;  // the server sees to that

    Problem problem;
    const bool sound = CheckRules(rules, &problem);
    if (!sound) CheckComplaint(problem);

    static const std::vector<std::string> kArgs = {"TENANT", "5"};
    static Workspace work;
    for (const std::vector<std::string>* args :
         {static_cast<const std::vector<std::string>*>(nullptr), &kArgs}) {
        Plan plan;
        Problem why;
        const bool compiled = Compile(rules, Specs(), args, &plan, &why);
        Check(sound || !compiled);
        if (!compiled) {
            CheckComplaint(why);
            continue;
        }
        Check(plan.column_of.size() == Specs().size());
        for (const char* doc : {"{}", R"({"a":"x","B":[1],"x":{"y":[{"z":"5"}]},"p":{"count":1.5}})"}) {
            Check(work.Read(doc, true, false, true, nullptr) == Reason::None);
            work.Transform(plan, true);
            Check(work.values.size() == plan.columns.size());
        }
    }
    return 0;
}
