#include "core/rules.h"

#include "core/decimal.h"
#include "core/extjson.h"
#include "core/json_text.h"

namespace vm {

bool Complain(Problem* problem, std::string_view key, std::string_view text, std::string_view hint) {
    problem->reason = Reason::BadRule;
    CopyCut(problem->path, key);
    CopyCut(problem->text, text);
    CopyCut(problem->hint, hint);
    return false;
}

namespace {

constexpr std::string_view kConversions[] = {"",      "objectid_time", "epoch_seconds",
                                             "floor", "round",         "json_text"};

std::string Quoted(std::string_view key) {
    return "\"" + std::string(key) + "\"";
}

class RulesReader {
  public:
    RulesReader(const Tape& tape, Rules* rules, Problem* problem)
        : tape_(tape), rules_(*rules), problem_(problem) {}

    bool Read() {
        if (tape_[0].type != Type::Object)
            return Complain(problem_, "", "the rules are not an object",
                            "Rules look like {\"columns\": {...}}.");
        for (uint32_t i = 1; i < tape_[0].len; i = tape_.After(i + 1)) {
            const std::string_view key = TextOf(tape_[i]);
            bool ok;
            if (key == "columns")
                ok = Columns(i + 1);
            else if (key == "watermark")
                ok = Names("watermark", i + 1, &rules_.watermark);
            else if (key == "unmapped")
                ok = String("unmapped", i + 1, &rules_.unmapped);
            else if (key == "on_error")
                ok = ReadOnError(i + 1);
            else
                ok = Complain(problem_, key, "unknown key " + Quoted(key),
                              "Known keys are columns, watermark, unmapped and on_error.");
            if (!ok) return false;
        }
        return true;
    }

  private:
    bool String(std::string_view key, uint32_t node, std::string* out) {
        if (tape_[node].type != Type::String || tape_[node].len == 0)
            return Complain(problem_, key, Quoted(key) + " must be a string", "");
        out->assign(TextOf(tape_[node]));
        return true;
    }

    // One name or an array of them.
    bool Names(std::string_view key, uint32_t node, std::vector<std::string>* out) {
        std::string name;
        if (tape_[node].type != Type::Array) {
            if (tape_[node].type != Type::String)
                return Complain(problem_, key, Quoted(key) + " must be a string or an array of strings", "");
            if (!String(key, node, &name)) return false;
            out->push_back(name);
            return true;
        }
        if (tape_[node].count == 0) return Complain(problem_, key, Quoted(key) + " is empty", "");
        for (uint32_t i = node + 1; i < tape_[node].len; i = tape_.After(i)) {
            if (!String(key, i, &name)) return false;
            out->push_back(name);
        }
        return true;
    }

    bool Bool(std::string_view key, uint32_t node, bool* out) {
        if (tape_[node].type != Type::True && tape_[node].type != Type::False)
            return Complain(problem_, key, Quoted(key) + " must be true or false", "");
        *out = tape_[node].type == Type::True;
        return true;
    }

    bool ReadOnError(uint32_t node) {
        std::string word;
        if (tape_[node].type == Type::String) word.assign(TextOf(tape_[node]));
        if (word != "raise" && word != "quarantine")
            return Complain(problem_, "on_error", "\"on_error\" must be \"raise\" or \"quarantine\"", "");
        rules_.on_error = word == "raise" ? OnError::Raise : OnError::Quarantine;
        return true;
    }

    bool Columns(uint32_t node) {
        if (tape_[node].type != Type::Object)
            return Complain(problem_, "columns", "\"columns\" must be an object",
                            "It looks like {\"column\": {\"from\": \"field\"}}.");
        for (uint32_t i = node + 1; i < tape_[node].len; i = tape_.After(i + 1)) {
            ColumnRule rule;
            rule.column.assign(TextOf(tape_[i]));
            for (const ColumnRule& other : rules_.columns)
                if (other.column == rule.column)
                    return Complain(problem_, "columns." + rule.column, "the column is named twice", "");
            if (!ReadColumn(i + 1, &rule)) return false;
            rules_.columns.push_back(std::move(rule));
        }
        return true;
    }

    bool ReadColumn(uint32_t node, ColumnRule* rule) {
        const std::string at = "columns." + rule->column;
        if (tape_[node].type != Type::Object)
            return Complain(problem_, at, "a column's rule must be an object",
                            "It looks like {\"from\": \"field\", \"default\": 0}.");
        for (uint32_t i = node + 1; i < tape_[node].len; i = tape_.After(i + 1)) {
            const std::string_view name = TextOf(tape_[i]);
            const std::string key = at + "." + std::string(name);
            const uint32_t value = i + 1;
            bool ok;
            if (name == "from")
                ok = Names(key, value, &rule->from);
            else if (name == "default")
                ok = ReadDefault(key, value, rule);
            else if (name == "as")
                ok = ReadAs(key, value, rule);
            else if (name == "floor")
                ok = ReadFloors(key, value, rule);
            else if (name == "normalize")
                ok = Bool(key, value, &rule->normalize);
            else if (name == "ignore")
                ok = Bool(key, value, &rule->ignore);
            else
                ok = Complain(problem_, key,
                              "unknown key " + Quoted(name) + " for column " + Quoted(rule->column),
                              "Known keys are from, default, as, floor, normalize and ignore.");
            if (!ok) return false;
        }
        return true;
    }

    bool ReadDefault(const std::string& key, uint32_t node, ColumnRule* rule) {
        const uint32_t arg = Member(tape_, node, "arg");
        if (arg != 0 && tape_[node].count == 1) {
            Decimal d;
            int64_t n;
            if (tape_[arg].type != Type::Number || !ParseDecimal(TextOf(tape_[arg]), false, &d) ||
                DecimalToInt(d, Rounding::Exact, 0, 99, &n) != ToInt::Ok || n < 1)
                return Complain(problem_, key, "\"arg\" must be the number of a trigger argument",
                                "The first argument after the mapping's name is 1.");
            rule->default_arg = static_cast<int>(n);
            rule->has_default = true;
            return true;
        }
        Bytes text;
        JsonTextWriter().Write(tape_, node, &text);
        rule->default_text.assign(text.data(), text.size());
        rule->has_default = true;
        return true;
    }

    bool ReadAs(const std::string& key, uint32_t node, ColumnRule* rule) {
        for (size_t i = 1; i < sizeof(kConversions) / sizeof(kConversions[0]); ++i)
            if (tape_[node].type == Type::String && TextOf(tape_[node]) == kConversions[i]) {
                rule->as = static_cast<Conversion>(i);
                return true;
            }
        return Complain(problem_, key, "\"as\" names no conversion",
                        "Known are objectid_time, epoch_seconds, floor, round and json_text.");
    }

    bool ReadFloors(const std::string& key, uint32_t node, ColumnRule* rule) {
        if (tape_[node].type != Type::Object || tape_[node].count == 0)
            return Complain(problem_, key, "\"floor\" must be an object of members and their defaults",
                            "It looks like {\"count\": 0}.");
        for (uint32_t i = node + 1; i < tape_[node].len; i = tape_.After(i + 1)) {
            Decimal d;
            int64_t n;
            if (tape_[i + 1].type != Type::Number || !ParseDecimal(TextOf(tape_[i + 1]), false, &d) ||
                DecimalToInt(d, Rounding::Exact, INT64_MIN, INT64_MAX, &n) != ToInt::Ok)
                return Complain(problem_, key,
                                "the default of \"" + std::string(TextOf(tape_[i])) + "\" must be an integer",
                                "");
            rule->floors.push_back({std::string(TextOf(tape_[i])), std::to_string(n)});
        }
        return true;
    }

    const Tape& tape_;
    Rules& rules_;
    Problem* problem_;
};

}  // namespace

const char* ConversionName(Conversion as) {
    return as == Conversion::Own ? nullptr : kConversions[static_cast<size_t>(as)].data();
}

bool ReadRules(std::string_view text, Rules* rules, Problem* problem) {
    ParsedText parsed;
    if (!parsed.Read(text)) return Complain(problem, "", "the rules are not JSON", "");
    return RulesReader(parsed.tape, rules, problem).Read();
}

bool CheckRules(std::string_view text, Problem* problem) {
    Rules rules;
    return ReadRules(text, &rules, problem);
}

}  // namespace vm
