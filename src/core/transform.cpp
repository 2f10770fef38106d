#include "core/transform.h"

#include <algorithm>

#include "core/extjson.h"
#include "core/json_reader.h"
#include "core/scalar.h"

namespace vm {

namespace {

constexpr size_t kKeep = 1 << 20;  // bytes kept from one document to the next
constexpr size_t kExcerpt = 80;

// The value at a node as messages show it.
void CopyExcerpt(const Tape& tape, uint32_t node, Output* out, Problem* problem) {
    const Node& n = tape[node];
    if (n.type == Type::String || n.type == Type::Number) return CopyCut(problem->value, TextOf(n));
    const size_t start = out->bytes.size();
    out->json.Write(tape, node, &out->bytes, kExcerpt);
    CopyCut(problem->value, {out->bytes.data() + start, out->bytes.size() - start});
    out->bytes.Resize(start);
}

uint32_t Step(const Tape& tape, uint32_t node, const std::string& step) {
    if (tape[node].type == Type::Object) return Member(tape, node, step);
    if (tape[node].type != Type::Array || step.empty() || step.size() > 9) return 0;
    uint32_t index = 0;
    for (const char c : step) {
        if (c < '0' || c > '9') return 0;
        index = index * 10 + static_cast<uint32_t>(c - '0');
    }
    for (uint32_t i = node + 1; i < tape[node].len; i = tape.After(i))
        if (index-- == 0) return i;
    return 0;
}

}  // namespace

Reason Workspace::Read(std::string_view doc, bool utf8, bool judged, bool object,
                       const volatile std::sig_atomic_t* cancel) {
    const size_t need = doc.size() + 1 + kReadAhead;
    if (need > capacity_) {
        buffer_.reset();
        capacity_ = 0;
        buffer_.reset(new char[std::max(need, static_cast<size_t>(8192))]);
        capacity_ = std::max(need, static_cast<size_t>(8192));
    }
    buffer_[0] = '\0';
    std::memcpy(buffer_.get() + 1, doc.data(), doc.size());
    std::memset(buffer_.get() + 1 + doc.size(), 0, kReadAhead);
    ReadLimits limits;
    limits.cancel = cancel;
    limits.utf8 = utf8;
    limits.judged = judged;
    bool large = false;
    const Reason reason = ReadJson(buffer_.get() + 1, doc.size(), limits, &tape, &large);
    if (reason == Reason::None && large && !judged) {
        output.Clear();
        if (!output.jsonb.Write(tape, 0, &output.bytes)) return Reason::TooLarge;
    }
    if (reason == Reason::None && object && tape[0].type != Type::Object) return Reason::RootNotObject;
    return reason;
}

uint32_t Workspace::Find(const Source& source) const {
    uint32_t node = slots_[source.slot];
    for (const std::string& step : source.steps) {
        if (node == 0) return 0;
        node = Step(tape, node, step);
    }
    return node;
}

Reason Workspace::Fill(const Plan& plan, const Column& column, Value* value, Problem* problem) {
    for (size_t s = 0; s < column.sources.size(); ++s) {
        const Source& source = column.sources[s];
        const uint32_t node = Find(source);
        if (node == 0) continue;
        // A field that is read whole is no stray one, whatever it holds.
        if (plan.unmapped >= 0 && source.steps.empty() && column.target.as != Conversion::ObjectIdTime)
            taken_[source.slot] = 1;
        if (tape[node].type == Type::Null) continue;
        const ConvertResult result = Convert(tape, node, column.target, &output, value);
        if (result.reason != Reason::None) {
            uint32_t at = node;
            std::string path = source.path;
            if (result.element >= 0) {
                path += "[" + std::to_string(result.element) + "]";
                at = Step(tape, node, std::to_string(result.element));
            }
            if (result.member != nullptr) {
                path += std::string(".") + result.member;
                CopyCut(problem->text, "numeric");
                at = Member(tape, node, result.member);
            }
            problem->reason = result.reason;
            CopyCut(problem->path, path);
            CopyExcerpt(tape, at ? at : node, &output, problem);
            return result.reason;
        }
        if (value->form == Form::Null) continue;  // a wrapped null: the next source, then the default
        if (result.concatenated && concatenated < 0)
            concatenated = static_cast<int>(&column - plan.columns.data());
        value->source = static_cast<int16_t>(s);
        return Reason::None;
    }
    UseFallback(column, value);
    return Reason::None;
}

// The short way for what most columns are and most documents hold. False if it takes Fill.
bool Workspace::FillCommon(const Plan::Common& common, Value* value) {
    if (!common.usable) return false;
    int16_t source = 0;
    uint32_t node = slots_[common.slot[0]];
    if (node == 0 || tape[node].type == Type::Null) {
        node = slots_[common.slot[1]];
        source = 1;
    }
    if (node == 0 || tape[node].type == Type::Null) {
        *value = common.absent;
        return common.absent_known;
    }
    *value = Value();
    if (!ConvertCommon(tape, node, common.kind, &output, value)) return false;
    value->source = source;
    return true;
}

void Workspace::UseFallback(const Column& column, Value* value) {
    *value = Value();
    if (column.has_default) {
        *value = column.fallback;
        value->source = kFromDefault;
        if (value->form == Form::Array) {
            value->first = static_cast<uint32_t>(output.elements.size());
            output.elements.insert(output.elements.end(), column.fallback_elements.begin(),
                                   column.fallback_elements.end());
        }
    } else if (column.spec.has_default) {
        value->source = kLeftAlone;
    }
}

// Every root field that no column took whole, with its last value.
Reason Workspace::CollectUnmapped(const Plan& plan, Value* value, Problem* problem) {
    const Column& column = plan.columns[static_cast<size_t>(plan.unmapped)];
    for (size_t i = 0; i < slots_.size(); ++i)
        if (slots_[i] != 0 && !taken_[i]) loose_.push_back(keys_[i]);
    if (loose_.empty()) {
        UseFallback(column, value);
        return Reason::None;
    }
    std::sort(loose_.begin(), loose_.end());
    Tape rest;
    output.rewriter.Collect(tape, loose_, &rest);
    const ConvertResult result = Convert(rest, 0, column.target, &output, value);
    value->source = 0;
    if (result.reason == Reason::None) return Reason::None;
    const uint32_t member = result.member ? Member(rest, 0, result.member) : 0;
    problem->reason = result.reason;
    CopyCut(problem->path, result.member ? result.member : "(all other fields)");
    if (member != 0) {
        CopyCut(problem->text, "numeric");
        CopyExcerpt(rest, member, &output, problem);
    }
    return result.reason;
}

bool Workspace::Transform(const Plan& plan, bool all) {
    output.Clear();
    problems.clear();
    concatenated = -1;
    slots_.assign(plan.fields.size(), 0);
    if (plan.unmapped >= 0) {
        loose_.clear();
        keys_.assign(plan.fields.size(), 0);
        taken_.assign(plan.fields.size(), 0);
    }
    const uint32_t end = tape[0].len;
    if (plan.unmapped < 0) {
        uint32_t* slots = slots_.data();
        for (uint32_t i = 1; i < end; i = tape.After(i + 1)) {
            const int slot = plan.Slot(tape[i].text, tape[i].len);
            if (slot >= 0) slots[slot] = i + 1;
        }
    } else {
        for (uint32_t i = 1; i < end; i = tape.After(i + 1)) {
            const int slot = plan.Slot(tape[i].text, tape[i].len);
            if (slot < 0) {
                loose_.push_back(i);
                continue;
            }
            slots_[static_cast<size_t>(slot)] = i + 1;
            keys_[static_cast<size_t>(slot)] = i;
        }
    }

    values.resize(plan.columns.size());
    if (all) problems.resize(plan.columns.size());
    bool good = true;
    Problem problem;  // filled only when there is one
    const auto fill = [&](size_t c) {
        const Column& column = plan.columns[c];
        Value* value = &values[c];
        if (static_cast<int>(c) == plan.unmapped)
            CollectUnmapped(plan, value, &problem);
        else
            Fill(plan, column, value, &problem);
        if (problem.reason == Reason::None && column.spec.required && value->form == Form::Null &&
            value->source != kLeftAlone) {
            problem.reason = Reason::NotNull;
            if (!column.sources.empty()) CopyCut(problem.path, column.sources[0].path);
        }
        if (all) problems[c].column = static_cast<int>(c);
        if (problem.reason == Reason::None) return true;
        good = false;
        problem.column = static_cast<int>(c);
        *value = Value();
        if (all)
            problems[c] = problem;
        else
            problems.push_back(problem);
        problem = Problem();
        return all;
    };
    for (size_t c = 0; c < plan.columns.size(); ++c)
        if (static_cast<int>(c) != plan.unmapped && (all || !FillCommon(plan.common[c], &values[c])) &&
            !fill(c))
            return false;
    // Last, when all others have taken theirs.
    if (plan.unmapped >= 0 && !fill(static_cast<size_t>(plan.unmapped))) return false;
    return good;
}

std::string Workspace::DocumentId() {
    const uint32_t id = tape.size() > 0 ? Member(tape, 0, "_id") : 0;
    if (id == 0) return {};
    Bytes text;
    bool composite;
    if (!AppendScalarText(tape, Unwrap(tape, id), &text, &composite) || composite)
        output.json.Write(tape, id, &text, kExcerpt);
    return text.size() ? std::string(text.data(), text.size()) : std::string();
}

void Workspace::Trim() {
    if (capacity_ > kKeep) {
        buffer_.reset();
        capacity_ = 0;
    }
    tape.Trim(kKeep / sizeof(Node));
    output.Trim(kKeep);
}

}  // namespace vm
