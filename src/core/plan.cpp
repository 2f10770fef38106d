#include "core/plan.h"

#include <algorithm>

#include "core/json_reader.h"
#include "core/rules.h"

namespace vm {

bool ParsedText::Read(std::string_view text) {
    buffer.assign(1, '\0');
    buffer.insert(buffer.end(), text.begin(), text.end());
    buffer.resize(buffer.size() + kReadAhead, '\0');
    ReadLimits limits;
    limits.judged = true;
    return ReadJson(buffer.data() + 1, text.size(), limits, &tape) == Reason::None;
}

std::string CamelCase(std::string_view name) {
    std::string camel;
    for (size_t i = 0; i < name.size(); ++i) {
        // A leading underscore stays, so does one before another or at the end.
        if (name[i] == '_' && !camel.empty() && camel.back() != '_' && i + 1 < name.size() &&
            name[i + 1] != '_') {
            const char c = name[++i];
            camel += c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
        } else {
            camel += name[i];
        }
    }
    return camel;
}

namespace {

bool IsTime(Kind kind) {
    return kind == Kind::TimestampTz || kind == Kind::Timestamp || kind == Kind::Date;
}

bool IsInteger(Kind kind) {
    return kind == Kind::Int2 || kind == Kind::Int4 || kind == Kind::Int8;
}

// "a.b\.c.0" to its steps.
std::vector<std::string> SplitPath(std::string_view path) {
    std::vector<std::string> steps(1);
    for (size_t i = 0; i < path.size(); ++i) {
        if (path[i] == '\\' && i + 1 < path.size())
            steps.back() += path[++i];
        else if (path[i] == '.')
            steps.emplace_back();
        else
            steps.back() += path[i];
    }
    return steps;
}

class Compiler {
  public:
    Compiler(const Rules& rules, const std::vector<ColumnSpec>& specs, const std::vector<std::string>* args,
             Plan* plan, Problem* problem)
        : rules_(rules), specs_(specs), args_(args), plan_(*plan), problem_(problem) {}

    bool Compile() {
        plan_ = Plan();
        plan_.on_error = rules_.on_error;
        for (const ColumnRule& rule : rules_.columns)
            if (SpecOf(rule.column) < 0) return MissingColumn("columns." + rule.column, rule.column);
        if (!rules_.unmapped.empty() && SpecOf(rules_.unmapped) < 0)
            return MissingColumn("unmapped", rules_.unmapped);

        for (size_t i = 0; i < specs_.size(); ++i) {
            plan_.column_of.push_back(-1);
            const ColumnRule* rule = RuleFor(specs_[i].name);
            if (rule ? rule->ignore : !specs_[i].by_default && specs_[i].name != rules_.unmapped) continue;
            plan_.column_of.back() = static_cast<int>(plan_.columns.size());
            plan_.columns.emplace_back();
            if (!FillColumn(specs_[i], rule, &plan_.columns.back())) return false;
        }
        if (!Unmapped() || !Watermark() || !BuildHash()) return false;
        for (const Column& column : plan_.columns) plan_.common.push_back(CommonOf(column));
        return true;
    }

  private:
    int SpecOf(const std::string& name) const {
        for (size_t i = 0; i < specs_.size(); ++i)
            if (specs_[i].name == name) return static_cast<int>(i);
        return -1;
    }

    int ColumnOf(const std::string& name) const {
        const int spec = SpecOf(name);
        return spec < 0 ? -1 : plan_.column_of[static_cast<size_t>(spec)];
    }

    const ColumnRule* RuleFor(const std::string& name) const {
        for (const ColumnRule& rule : rules_.columns)
            if (rule.column == name) return &rule;
        return nullptr;
    }

    bool MissingColumn(const std::string& key, const std::string& name) {
        return Complain(problem_, key, "the table has no column \"" + name + "\" that a document could fill",
                        "Generated, identity and dropped columns, _id and _doc are left alone.");
    }

    bool Impossible(const std::string& key, const ColumnSpec& spec, const std::string& what,
                    const std::string& hint) {
        return Complain(problem_, key,
                        what + " does not go with column \"" + spec.name + "\" of type " + spec.type_name,
                        hint);
    }

    uint32_t SlotFor(const std::string& field) {
        const auto at = std::find(plan_.fields.begin(), plan_.fields.end(), field);
        if (at != plan_.fields.end()) return static_cast<uint32_t>(at - plan_.fields.begin());
        plan_.fields.push_back(field);
        return static_cast<uint32_t>(plan_.fields.size() - 1);
    }

    void AddSource(const std::string& path, bool literal, Column* column) {
        Source source;
        source.path = path;
        std::vector<std::string> steps = literal ? std::vector<std::string>{path} : SplitPath(path);
        source.slot = SlotFor(steps[0]);
        source.steps.assign(steps.begin() + 1, steps.end());
        column->sources.push_back(std::move(source));
    }

    bool FillColumn(const ColumnSpec& spec, const ColumnRule* rule, Column* column) {
        column->spec = spec;
        column->target.kind = spec.kind;
        column->target.array = spec.array;
        if (rule == nullptr || rule->from.empty()) {
            if (spec.name != rules_.unmapped) {
                AddSource(spec.name, true, column);
                const std::string camel = CamelCase(spec.name);
                if (camel != spec.name) AddSource(camel, true, column);
            }
        } else {
            for (const std::string& path : rule->from) AddSource(path, false, column);
        }
        if (rule == nullptr) return true;
        const std::string key = "columns." + rule->column;
        return Conversions(key, spec, *rule, column) && Default(key, *rule, column);
    }

    bool Conversions(const std::string& key, const ColumnSpec& spec, const ColumnRule& rule, Column* column) {
        const Kind kind = spec.kind;
        bool possible = true;
        const char* hint = "";
        switch (rule.as) {
            case Conversion::Own: break;
            case Conversion::ObjectIdTime:
            case Conversion::EpochSeconds:
                possible = IsTime(kind);
                hint = "It makes a timestamptz, a timestamp or a date.";
                break;
            case Conversion::Floor:
            case Conversion::Round:
                possible = IsInteger(kind);
                hint =
                    "It makes an integer. For a member inside a jsonb column say \"floor\": {\"member\": 0}.";
                break;
            case Conversion::JsonText:
                possible = kind == Kind::Text || kind == Kind::Other;
                hint = "It makes text; jsonb and json columns hold the value as it is.";
                break;
        }
        if (!possible)
            return Impossible(key + ".as", spec, std::string("\"as\": \"") + ConversionName(rule.as) + "\"",
                              hint);
        if (rule.normalize && kind != Kind::Jsonb)
            return Impossible(key + ".normalize", spec, "\"normalize\"",
                              "Wrappers of a scalar column are always taken off.");
        if (!rule.floors.empty() && (kind != Kind::Jsonb || spec.array))
            return Impossible(key + ".floor", spec, "\"floor\"", "It works on members of a jsonb object.");
        column->target.as = rule.as;
        column->target.normalize = rule.normalize;
        column->target.floors = rule.floors;
        return true;
    }

    bool Default(const std::string& key, const ColumnRule& rule, Column* column) {
        column->has_default = rule.has_default;
        column->default_arg = rule.default_arg;
        column->default_text = rule.default_text;
        if (!rule.has_default) return true;
        std::string text = rule.default_text;
        if (rule.default_arg > 0) {
            if (args_ == nullptr) return true;
            if (static_cast<size_t>(rule.default_arg) > args_->size())
                return Complain(
                    problem_, key + ".default.arg",
                    "the trigger has no argument " + std::to_string(rule.default_arg) +
                        " after the mapping's name",
                    "Triggers are made as EXECUTE FUNCTION vm_transform('mapping', 'tenant', 'project').");
            Bytes json;
            AppendJsonString((*args_)[static_cast<size_t>(rule.default_arg) - 1], &json);
            text.assign(json.data(), json.size());
        }
        ParsedText parsed;
        Output out;
        Target target = column->target;
        target.as = Conversion::Own;
        if (!parsed.Read(text) ||
            Convert(parsed.tape, 0, target, &out, &column->fallback).reason != Reason::None)
            return Impossible(key + ".default", column->spec, "the default " + text, "");
        Keep(parsed, &out, column);
        return true;
    }

    // Copies a converted default out of the buffers it was made in.
    void Keep(const ParsedText& parsed, Output* out, Column* column) {
        column->fallback_elements = out->elements;
        // Values point into the text or the output; both are kept, one behind the other, 8-aligned.
        std::vector<char>& bytes = column->fallback_bytes;
        const size_t text_size = (parsed.buffer.size() + 7) & ~static_cast<size_t>(7);
        bytes.assign(text_size + out->bytes.size(), '\0');
        std::copy(parsed.buffer.begin(), parsed.buffer.end(), bytes.begin());
        if (out->bytes.size()) std::memcpy(bytes.data() + text_size, out->bytes.data(), out->bytes.size());
        const auto move = [&](Value* v) {
            if (v->form != Form::Datum && v->form != Form::Bytes && v->form != Form::Input) return;
            if (v->in_output)
                v->text = bytes.data() + text_size + v->offset;
            else
                v->text = bytes.data() + (v->text - parsed.buffer.data());
            v->in_output = false;
        };
        move(&column->fallback);
        for (Value& v : column->fallback_elements) move(&v);
    }

    // Where unmapped fields are collected, the usual way keeps book of what is taken.
    Plan::Common CommonOf(const Column& column) const {
        Plan::Common common;
        const Target& t = column.target;
        const std::vector<Source>& sources = column.sources;
        if (plan_.unmapped >= 0 || t.array || t.as != Conversion::Own || t.normalize || !t.floors.empty() ||
            sources.empty() || sources.size() > 2 || !sources.front().steps.empty() ||
            !sources.back().steps.empty())
            return common;
        common.usable = true;
        common.kind = t.kind;
        common.slot[0] = sources.front().slot;
        common.slot[1] = sources.back().slot;
        if (column.has_default) {
            common.absent_known = column.fallback.form != Form::Null && column.fallback.form != Form::Array;
            common.absent = column.fallback;
            common.absent.source = kFromDefault;
        } else {
            common.absent_known = !column.spec.has_default && !column.spec.required;
        }
        return common;
    }

    bool Unmapped() {
        if (rules_.unmapped.empty()) return true;
        const int column = ColumnOf(rules_.unmapped);
        if (column < 0)
            return Complain(problem_, "unmapped",
                            "column \"" + rules_.unmapped + "\" is both unmapped and ignored", "");
        Column& c = plan_.columns[static_cast<size_t>(column)];
        if (c.spec.kind != Kind::Jsonb || c.spec.array)
            return Impossible("unmapped", c.spec, "\"unmapped\"", "Fields are collected in a jsonb column.");
        plan_.unmapped = column;
        return true;
    }

    bool Watermark() {
        for (const std::string& name : rules_.watermark) {
            const int column = ColumnOf(name);
            if (column < 0) return MissingColumn("watermark", name);
            const Column& c = plan_.columns[static_cast<size_t>(column)];
            if (!IsTime(c.spec.kind) || c.spec.array)
                return Impossible("watermark", c.spec, "\"watermark\"",
                                  "Watermark columns are timestamptz, timestamp or date.");
            plan_.watermark.push_back(static_cast<uint32_t>(column));
        }
        return true;
    }

    bool BuildHash() {
        size_t size = 16;
        while (size < plan_.fields.size() * 4) size *= 2;
        plan_.hash.assign(size, Plan::HashEntry());
        for (size_t i = 0; i < plan_.fields.size(); ++i) {
            const std::string& f = plan_.fields[i];
            const uint32_t len = static_cast<uint32_t>(f.size());
            const FieldEnds ends((f + std::string(kTextPadding, '\0')).data(), len);
            size_t at = ends.Hash(len) & (size - 1);
            while (plan_.hash[at].slot >= 0) at = (at + 1) & (size - 1);
            plan_.hash[at] = {ends, len, static_cast<int>(i)};
        }
        return true;
    }

    const Rules& rules_;
    const std::vector<ColumnSpec>& specs_;
    const std::vector<std::string>* args_;
    Plan& plan_;
    Problem* problem_;
};

}  // namespace

bool Compile(std::string_view text, const std::vector<ColumnSpec>& specs,
             const std::vector<std::string>* args, Plan* plan, Problem* problem) {
    Rules rules;
    return ReadRules(text, &rules, problem) && Compiler(rules, specs, args, plan, problem).Compile();
}

}  // namespace vm
