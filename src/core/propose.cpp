#include "core/propose.h"

#include <algorithm>
#include <initializer_list>
#include <set>
#include <vector>

#include "core/json_text.h"
#include "core/plan.h"

namespace vm {

namespace {

constexpr size_t kNameBytes = 63;
constexpr size_t kMaxColumns = 1000;        // a table may have 1600, less with a wide header
constexpr int64_t kComfortable = 1 << 30;   // integers up to half of integer's range leave room to grow
constexpr uint64_t kLongestIndexed = 2600;  // bytes of a key that an index row holds
constexpr std::string_view kUnmapped = "other_fields";

// Every key word but the unreserved ones, of PostgreSQL 15 to 18, between blanks.
constexpr std::string_view kKeyWords =
    " all analyse analyze and any array as asc asymmetric authorization between bigint binary bit boolean"
    " both case cast char character check coalesce collate collation column concurrently constraint create"
    " cross current_catalog current_date current_role current_schema current_time current_timestamp"
    " current_user dec decimal default deferrable desc distinct do else end except exists extract false"
    " fetch float for foreign freeze from full grant greatest group grouping having ilike in initially"
    " inner inout int integer intersect interval into is isnull join json json_array json_arrayagg"
    " json_exists json_object json_objectagg json_query json_scalar json_serialize json_table json_value"
    " lateral leading least left like limit localtime localtimestamp merge_action national natural nchar"
    " none normalize not notnull null nullif numeric offset on only or order out outer overlaps overlay"
    " placing position precision primary real references returning right row select session_user setof"
    " similar smallint some substring symmetric system_user table tablesample then time timestamp to"
    " trailing treat trim true union unique user using values varchar variadic verbose when where window"
    " with xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot"
    " xmlserialize xmltable"
    " ";

// What a parent can't call a column: the server's own, and those that a child adds.
constexpr std::string_view kTaken[] = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "_id", "_doc"};

// The names of fields that say when a document changed last, the surest first.
constexpr std::string_view kChanged[] = {"updated",     "modified",    "last_update", "lastupdate",
                                         "update_time", "modify_time", "changed",     "deleted"};

bool IsLower(char c) {
    return c >= 'a' && c <= 'z';
}
bool IsUpper(char c) {
    return c >= 'A' && c <= 'Z';
}
bool IsDigit(char c) {
    return c >= '0' && c <= '9';
}
bool IsTail(char c) {
    return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}  // of a UTF-8 character

bool IsPlainName(std::string_view name) {
    if (name.empty() || name.size() > kNameBytes || IsDigit(name[0])) return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return IsLower(c) || IsDigit(c) || c == '_'; });
}

std::string CutName(std::string_view name, size_t most) {
    if (name.size() > most) {
        while (most > 0 && IsTail(name[most])) --most;
        name = name.substr(0, most);
    }
    return std::string(name);
}

// For a comment: no line end must bring the rest of it to life.
std::string OneLine(std::string_view text) {
    std::string line(text);
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
    return line;
}

std::string Doubled(std::string_view text, char quote) {
    std::string out(1, quote);
    for (char c : text) {
        if (c == quote) out += c;
        out += c;
    }
    return out += quote;
}

std::string JsonString(std::string_view text) {
    Bytes json;
    AppendJsonString(text, &json);
    return {json.data(), json.size()};
}

size_t Width(std::string_view text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !IsTail(c); }));
}

std::string Padded(std::string text, size_t width) {
    const size_t has = Width(text);
    if (has < width) text.append(width - has, ' ');
    return text;
}

std::string Count(uint64_t n, const char* what) {
    return std::to_string(n) + " " + what + (n == 1 ? "" : "s");
}

uint64_t Values(const PathProfile& p) {
    uint64_t n = 0;
    for (size_t i = 1; i < kFieldTypes; ++i) n += p.count(static_cast<FieldType>(i));
    return n;
}

// Whether every value that is not null has one of the types.
bool Only(const PathProfile& p, std::initializer_list<FieldType> types) {
    uint64_t n = 0;
    for (FieldType type : types) n += p.count(type);
    return n > 0 && n == Values(p);
}

// Different types, null not counted.
int Types(const PathProfile& p) {
    int n = 0;
    for (size_t i = 1; i < kFieldTypes; ++i) n += p.count(static_cast<FieldType>(i)) > 0;
    return n;
}

struct Typed {
    std::string type;  // empty: no scalar type
    std::string note;
};

Typed IntegerType(const PathProfile& p) {
    if (p.beyond_int8()) return {"numeric", "integers beyond 64 bits"};
    const bool small = p.min_integer() >= -kComfortable && p.max_integer() <= kComfortable;
    if (small && !p.from_long()) return {"integer", ""};
    // 2001 to 2286, as milliseconds
    const bool like_time =
        p.min_integer() >= INT64_C(1000000000000) && p.max_integer() < INT64_C(10000000000000);
    return {"bigint", like_time ? "timestamptz would read these as milliseconds since 1970" : ""};
}

// The type of a column that holds all these values without their wrappers, and nothing of them gets lost.
Typed ScalarType(const PathProfile& p) {
    using F = FieldType;
    if (Only(p, {F::Boolean})) return {"boolean", ""};
    if (Only(p, {F::Integer})) return IntegerType(p);
    if (Only(p, {F::Integer, F::Decimal}))
        return {"numeric", p.fraction_digits() > 0 ? "up to " + Count(p.fraction_digits(), "decimal") : ""};
    const uint64_t texts = p.count(F::Text);
    // Plain JSON has no dates: a field whose texts are all instants holds times.
    if (texts == p.looks(Look::Instant) && texts + p.count(F::Date) > 0 &&
        Only(p, {F::Date, F::Text, F::MinKey, F::MaxKey}))
        return {"timestamptz", texts > 0 ? "from ISO 8601 text" : ""};
    if (Only(p, {F::Uuid})) return {"uuid", ""};
    if (Only(p, {F::Binary})) return {"bytea", ""};
    if (Only(p, {F::Regex})) return {"text", "regular expression"};
    if (!Only(p, {F::Text, F::ObjectId, F::Symbol, F::Code})) return {};
    if (texts == 0) return {"text", p.count(F::ObjectId) > 0 ? FieldTypeName(F::ObjectId) : ""};
    if (texts < Values(p)) return {"text", p.types()};
    if (texts == p.looks(Look::Day)) return {"text", "all are days: date would hold them"};
    if (texts == p.looks(Look::Uuid)) return {"text", "all are uuids: uuid would hold them"};
    return {"text", ""};
}

struct Proposed {
    const PathProfile* field;
    const PathProfile* inside;  // a row for elements or a map's members, if there is one
    std::string name, type, note;
    bool not_null = false;
    bool from = false;
    bool mixed = false;

    bool IsJsonb() const { return type == "jsonb"; }
};

void ChooseType(Proposed* column) {
    const PathProfile& p = *column->field;
    Typed scalar = ScalarType(p);
    column->type = "jsonb";
    column->note = p.types();
    if (!scalar.type.empty()) {
        column->type = scalar.type;
        column->note = scalar.note;
    } else if (Values(p) == 0) {
        column->note = "only null so far, so any type may come";
    } else if (Only(p, {FieldType::Object})) {
        const bool map = column->inside != nullptr && column->inside->step() == Step::Any;
        column->note = map ? "object used as a map: its keys are data" : "object";
    } else if (Only(p, {FieldType::Array})) {
        const PathProfile* e = column->inside;
        if (e == nullptr || Values(*e) == 0) {
            column->note = e == nullptr ? "only empty arrays so far" : "only nulls in arrays so far";
            return;
        }
        scalar = ScalarType(*e);
        if (!scalar.type.empty()) {
            column->type = scalar.type + "[]";
            column->note = scalar.note;
        } else if (Only(*e, {FieldType::Object})) {
            column->note = "array of objects";
        } else {
            column->note = Only(*e, {FieldType::Array}) ? "array of arrays" : "array of " + e->types();
            column->mixed = Types(*e) > 1;
        }
    } else if (Only(p, {FieldType::Timestamp})) {
        column->note = "timestamp: its ordinal would not fit timestamptz";
    } else {
        column->mixed = Types(p) > 1;
    }
}

class Proposal {
  public:
    explicit Proposal(const Profiler& profile) : profile_(profile) {
        for (std::string_view name : kTaken) taken_.emplace(name);
        bool has_column = false;
        for (size_t i = 0; i < profile.Rows(); ++i) {
            const PathProfile& row = profile.Row(i);
            if (row.step() == Step::Rest) {
                left_out_ = row.types();
            } else if (row.depth() == 1) {
                fields_.insert(row.key());
                // A rule can't name a field without a name.
                has_column = !row.key().empty() && columns_.size() < kMaxColumns;
                if (has_column)
                    columns_.push_back({&row, nullptr, {}, {}, {}});
                else
                    ++not_columns_;
            } else if (row.depth() == 2 && row.step() != Step::Member && has_column) {
                columns_.back().inside = &row;
            }
        }
        NameColumns();
        for (Proposed& column : columns_) {
            const PathProfile& p = *column.field;
            ChooseType(&column);
            column.not_null = p.documents() == profile.documents() && p.nulls() == 0;
        }
        ChooseKey();
        ChooseWatermark();
    }

    std::string Script(std::string_view parent, std::string_view mapping, std::string_view schema,
                       std::string_view source) {
        Line("A table and a mapping for the documents" +
             (source.empty() ? "" : " of " + std::string(source)) + ", to read, amend and run.");
        Line("");
        Line(Count(profile_.documents(), "document") + ", " + Count(fields_.size(), "field") +
             " at the root.");
        if (profile_.not_objects() > 0)
            Line(Count(profile_.not_objects(), "more document") + " left aside: the root is no object.");
        if (profile_.documents() == 0) {
            Line("Nothing can be proposed.");
            return out_;
        }
        Findings();
        Table(parent);
        Mapping(mapping, schema);
        return out_;
    }

  private:
    void Line(const std::string& text) { out_ += OneLine(text.empty() ? "--" : "-- " + text) + "\n"; }

    std::string Free(std::string_view base) {
        std::string name = CutName(base, kNameBytes);
        for (int n = 2; !taken_.insert(name).second; ++n) {
            const std::string suffix = "_" + std::to_string(n);
            name = CutName(base, kNameBytes - suffix.size()) + suffix;
        }
        return name;
    }

    // A field whose name will do as it is has the first right to it.
    void NameColumns() {
        const bool own_id = std::any_of(columns_.begin(), columns_.end(), [](const Proposed& c) {
            return c.field->key() != "_id" && SnakeCase(c.field->key()) == "id";
        });
        for (Proposed& c : columns_)
            if (c.field->key() == "_id") c.name = Free(own_id ? "mongo_id" : "id");
        for (Proposed& c : columns_)
            if (c.name.empty() && SnakeCase(c.field->key()) == c.field->key()) c.name = Free(c.field->key());
        for (Proposed& c : columns_)
            if (c.name.empty()) c.name = Free(SnakeCase(c.field->key()));
        unmapped_ = Free(kUnmapped);
        // Without a rule a column looks for its own name, then for that in camelCase.
        for (Proposed& c : columns_) {
            const std::string camel = CamelCase(c.name);
            const std::string& other = camel == c.field->key() ? c.name : camel;
            const bool found = c.name == c.field->key() || camel == c.field->key();
            c.from = !found || (other != c.field->key() && fields_.count(other) > 0);
        }
    }

    void ChooseKey() {
        const uint64_t documents = profile_.documents();
        for (const Proposed& c : columns_)
            if (c.field->key() == "_id" && c.not_null) {
                key_ = &c;
                key_why_ = "_id";
                const bool compared = c.field->count(FieldType::ObjectId) + c.field->count(FieldType::Text) +
                                          c.field->count(FieldType::Integer) +
                                          c.field->count(FieldType::Uuid) ==
                                      documents;
                if (compared && c.field->uniqueness() == Uniqueness::No)
                    key_why_ += ", but it repeats: about " + std::to_string(c.field->distinct()) +
                                " different among " + Count(documents, "document") +
                                ", and of equal ones the newest wins";
                if (c.field->longest_text() > kLongestIndexed)
                    key_why_ += ", but some are too long for an index";
                return;
            }
        // By name first, then by what is known for sure.
        for (int named = 1; named >= 0 && key_ == nullptr; --named)
            for (Uniqueness wanted : {Uniqueness::Yes, Uniqueness::Unknown})
                for (const Proposed& c : columns_) {
                    const PathProfile& p = *c.field;
                    if (key_ != nullptr || p.uniqueness() != wanted || !c.not_null || c.type == "jsonb")
                        continue;
                    if (NamedLikeKey(p.key()) != (named == 1)) continue;
                    if (wanted == Uniqueness::Unknown && p.distinct() < documents / 100 * 93) continue;
                    key_ = &c;
                    key_why_ =
                        wanted == Uniqueness::Yes
                            ? "in every document and never the same twice"
                            : "in every document and about as many values; too many to compare them all";
                    if (named == 0) key_why_ += ". Make sure that is so by design";
                }
    }

    void ChooseWatermark() {
        for (std::string_view word : kChanged)
            for (const Proposed& c : columns_) {
                if (c.type != "timestamptz" || SnakeCase(c.field->key()).find(word) == std::string::npos)
                    continue;
                if (std::find(watermark_.begin(), watermark_.end(), c.name) == watermark_.end())
                    watermark_.push_back(c.name);
            }
    }

    void Findings() {
        if (key_ != nullptr) {
            Line("Key: " + key_->name + " (" + key_why_ + ").");
        } else {
            Line(
                "No key: no field is in every document, never null and never the same twice. Choose one: a "
                "move");
            Line("from child to parent needs it to know a row again.");
        }
        if (watermark_.empty()) {
            Line(
                "No watermark: no time field is named like updated, modified or deleted. If one says when a "
                "document");
            Line("changed, name it; without it no version is late, and a move never replaces a row.");
        }
        if (std::any_of(columns_.begin(), columns_.end(),
                        [](const Proposed& c) { return c.type.substr(0, 7) == "numeric"; }))
            Line(
                "numeric keeps every digit that was written; double precision is smaller where rounding is "
                "harmless.");
        if (std::any_of(columns_.begin(), columns_.end(), [](const Proposed& c) { return c.mixed; })) {
            Line("Of more than one type, so jsonb:");
            for (const Proposed& c : columns_)
                if (c.mixed) Line("  " + c.name + ": " + c.note);
        }
        for (const Proposed& c : columns_) {
            const uint64_t odd = c.field->odd() + (c.inside != nullptr ? c.inside->odd() : 0);
            if (odd > 0 && !c.IsJsonb())
                Line(c.name + ": " + Count(odd, "value") + " no " + c.type +
                     " can hold; quarantined until mended.");
        }
        if (not_columns_ > 0)
            Line(Count(not_columns_, "field") + " without a column, kept in " + unmapped_ + ".");
        if (!left_out_.empty()) Line("Not profiled: " + left_out_ + ".");
    }

    void Table(std::string_view parent) {
        struct Row {
            std::string name, type, rest, note;
        };
        std::vector<Row> rows;
        for (const Proposed& c : columns_)
            rows.push_back({QuoteIdentifier(c.name), c.type, c.not_null || &c == key_ ? "NOT NULL" : "",
                            c.mixed ? "mixed" : OneLine(c.note)});
        rows.push_back({QuoteIdentifier(unmapped_), "jsonb", "", "whatever no other column takes"});

        size_t name = 0, type = 0, rest = 0;
        for (size_t i = 0; i < rows.size(); ++i) {
            if (i + 1 < rows.size() || key_ != nullptr)
                (rows[i].rest.empty() ? rows[i].type : rows[i].rest) += ",";
            name = std::max(name, Width(rows[i].name));
            type = std::max(type, Width(rows[i].type));
            rest = std::max(rest, Width(rows[i].rest));
        }
        out_.append("\nCREATE TABLE ").append(parent).append(" (\n");
        for (const Row& row : rows) {
            std::string line = "    " + Padded(row.name, name + 1);
            line += Padded(row.type, type + 1) + Padded(row.rest, rest);
            if (!row.note.empty()) line += " -- " + row.note;
            while (line.back() == ' ') line.pop_back();
            out_ += line + "\n";
        }
        if (key_ != nullptr) out_ += "    PRIMARY KEY (" + QuoteIdentifier(key_->name) + ")\n";
        out_ += ");\n";
    }

    void Mapping(std::string_view mapping, std::string_view schema) {
        std::vector<std::pair<std::string, std::string>> rules;
        for (const Proposed& c : columns_) {
            std::string rule;
            if (c.from) {
                std::string path;
                AppendPathKey(c.field->key(), &path);
                rule = "\"from\": " + JsonString(path);
            }
            if (c.IsJsonb()) rule += std::string(rule.empty() ? "" : ", ") + "\"normalize\": true";
            if (!rule.empty()) rules.emplace_back(JsonString(c.name) + ":", rule);
        }
        rules.emplace_back(JsonString(unmapped_) + ":", "\"normalize\": true");
        size_t width = 0;
        for (const auto& rule : rules) width = std::max(width, Width(rule.first));

        std::string json = "{\n  \"columns\": {";
        for (size_t i = 0; i < rules.size(); ++i)
            json += (i ? ",\n    " : "\n    ") + Padded(rules[i].first, width) + " {" + rules[i].second + "}";
        json += "\n  },\n";
        if (!watermark_.empty()) {
            json += "  \"watermark\": [";
            for (size_t i = 0; i < watermark_.size(); ++i)
                json += (i ? ", " : "") + JsonString(watermark_[i]);
            json += "],\n";
        }
        const char* blanks = watermark_.empty() ? " " : "  ";
        json += std::string("  \"unmapped\":") + blanks + JsonString(unmapped_) + ",\n";
        json += std::string("  \"on_error\":") + blanks + "\"quarantine\"\n}";
        out_ += "\nSELECT " + QuoteIdentifier(schema) + ".vm_define_mapping(" + QuoteLiteral(mapping) + ", " +
                QuoteLiteral(json) + ");\n";
    }

    const Profiler& profile_;
    std::vector<Proposed> columns_;
    std::set<std::string> fields_;  // at the root
    std::set<std::string> taken_;   // names of columns
    std::string unmapped_, left_out_, key_why_, out_;
    const Proposed* key_ = nullptr;
    std::vector<std::string> watermark_;
    uint64_t not_columns_ = 0;
};

}  // namespace

std::string QuoteIdentifier(std::string_view name) {
    const bool key_word = kKeyWords.find(" " + std::string(name) + " ") != std::string_view::npos;
    if (IsPlainName(name) && !key_word) return std::string(name);
    return Doubled(name, '"');
}

std::string QuoteLiteral(std::string_view text) {
    return Doubled(text, '\'');
}

std::string SnakeCase(std::string_view key) {
    if (IsPlainName(key)) return std::string(key);
    std::string name;
    for (size_t i = 0; i < key.size(); ++i) {
        const char c = key[i];
        const bool plain = IsLower(c) || IsUpper(c) || IsDigit(c) || (c & 0x80) != 0;
        // A word begins at a capital after a small letter, and at the last of several before one.
        const bool begins = IsUpper(c) && i > 0 &&
                            (IsLower(key[i - 1]) || IsDigit(key[i - 1]) ||
                             (IsUpper(key[i - 1]) && i + 1 < key.size() && IsLower(key[i + 1])));
        if ((begins || !plain) && !name.empty() && name.back() != '_') name += '_';
        if (plain) name += IsUpper(c) ? static_cast<char>(c | 0x20) : c;
    }
    while (!name.empty() && name.back() == '_') name.pop_back();
    return name.empty() ? "field" : CutName(name, kNameBytes);
}

std::string Propose(const Profiler& profile, std::string_view parent, std::string_view mapping,
                    std::string_view schema, std::string_view source) {
    return Proposal(profile).Script(parent, mapping, schema, source);
}

}  // namespace vm
