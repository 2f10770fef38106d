#include "wall/wall.h"

#include <string>
#include <vector>

#include "core/plan.h"
#include "core/transform.h"
#include "wall/guard.h"

namespace wall {

namespace {

std::string_view View(Text t) {
    return {t.data, t.len};
}

}  // namespace

Reason CheckRules(Text rules, Problem* problem) noexcept {
    return Guard(problem, Reason::Internal,
                 [&] { return vm::CheckRules(View(rules), problem) ? Reason::None : problem->reason; });
}

vm::Plan* Compile(Text rules, const ColumnSpec* specs, size_t nspecs, const char* const* args, int nargs,
                  Problem* problem) noexcept {
    return Guard(problem, static_cast<vm::Plan*>(nullptr), [&]() -> vm::Plan* {
        std::vector<vm::ColumnSpec> columns;
        for (size_t i = 0; i < nspecs; ++i) {
            const ColumnSpec& s = specs[i];
            columns.push_back(
                {s.name, s.type_name, s.kind, s.array, s.required, s.by_default, s.has_default});
        }
        std::vector<std::string> arguments;
        for (int i = 0; i < nargs; ++i) arguments.emplace_back(args[i]);
        auto plan = std::make_unique<vm::Plan>();
        if (!vm::Compile(View(rules), columns, nargs < 0 ? nullptr : &arguments, plan.get(), problem))
            return nullptr;
        return plan.release();
    });
}

void Free(vm::Plan* plan) noexcept {
    delete plan;
}

PlanInfo Describe(const vm::Plan* plan) noexcept {
    return {plan->column_of.data(), static_cast<uint32_t>(plan->columns.size()), plan->watermark.data(),
            static_cast<uint32_t>(plan->watermark.size()), plan->on_error == vm::OnError::Quarantine};
}

vm::Workspace* NewWorkspace() noexcept {
    Problem problem;
    return Guard(&problem, static_cast<vm::Workspace*>(nullptr), [] { return new vm::Workspace; });
}

void Free(vm::Workspace* space) noexcept {
    delete space;
}

Reason Transform(vm::Workspace* space, const vm::Plan* plan, Text doc, const ReadOptions& options, Row* row,
                 Problem* problem) noexcept {
    const Reason reason = Guard(problem, Reason::Internal, [&] {
        Reason r = space->Read(View(doc), options.utf8, options.judged, true, options.cancel);
        if (r != Reason::None) {
            problem->reason = r;
            return r;
        }
        if (!space->Transform(*plan, options.all) && !options.all) {
            *problem = space->problems.back();
            return problem->reason;
        }
        return Reason::None;
    });
    if (reason != Reason::None) return problem->reason;
    row->values = space->values.data();
    row->elements = space->output.elements.data();
    row->output = space->output.bytes.data();
    row->problems = space->problems.data();
    row->concatenated = space->concatenated;
    return Reason::None;
}

void DocumentId(vm::Workspace* space, char* to, size_t size) noexcept {
    Problem problem;
    to[0] = '\0';
    Guard(&problem, 0, [&] {
        vm::CopyCut(to, size, space->DocumentId());
        return 0;
    });
}

void Trim(vm::Workspace* space) noexcept {
    space->Trim();
}

void Explain(const vm::Plan* plan, uint32_t column, ColumnWords* words) noexcept {
    Problem problem;
    words->source[0] = words->conversion[0] = words->fallback[0] = '\0';
    Guard(&problem, 0, [&] {
        const vm::Column& c = plan->columns[column];
        const bool unmapped = plan->unmapped == static_cast<int>(column);
        std::string source, conversion, fallback;
        for (const vm::Source& s : c.sources) source += (source.empty() ? "" : ", ") + s.path;
        if (unmapped) source = "(all other fields)";
        const char* as = vm::ConversionName(c.target.as);
        conversion = as ? as : c.spec.type_name;
        if (c.target.normalize) conversion += ", normalize";
        for (const vm::Floor& f : c.target.floors) conversion += ", floor of " + f.name;
        for (const uint32_t w : plan->watermark)
            if (w == column) conversion += ", watermark";
        if (c.default_arg > 0) {
            fallback = "trigger argument " + std::to_string(c.default_arg);
        } else if (c.has_default) {
            fallback = c.default_text;
        } else {
            fallback = c.spec.has_default ? "the column's own default"
                       : c.spec.required  ? "none: refused"
                                          : "NULL";
        }
        vm::CopyCut(words->source, source);
        vm::CopyCut(words->conversion, conversion);
        vm::CopyCut(words->fallback, fallback);
        return 0;
    });
}

void SourceOf(const vm::Plan* plan, uint32_t column, const Value* value, char* to, size_t size) noexcept {
    Problem problem;
    to[0] = '\0';
    Guard(&problem, 0, [&] {
        const vm::Column& c = plan->columns[column];
        std::string text;
        if (value->source == vm::kFromDefault)
            text = c.default_arg > 0 ? "trigger argument " + std::to_string(c.default_arg) : "default";
        else if (plan->unmapped == static_cast<int>(column) && value->form != vm::Form::Null)
            text = "(all other fields)";
        else if (value->source == vm::kLeftAlone)
            text = "the column's own default";
        else if (value->source >= 0)
            text = c.sources[static_cast<size_t>(value->source)].path;
        vm::CopyCut(to, size, text);
        return 0;
    });
}

}  // namespace wall
