// A document, through everything a trigger would do with it. What must hold for any bytes:
//  - the reader accepts just what jsonb accepts (json_grammar.h);
//  - what was read prints as text that reads and prints as itself, and its jsonb says the same;
//  - every value lies where it says, has a well-formed header, is in its type's range and, being text, is
//  UTF-8.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <unordered_map>

#include "../unit/jsonb_text.h"
#include "core/datetime.h"
#include "core/decimal.h"
#include "core/json_reader.h"
#include "core/transform.h"
#include "json_grammar.h"

#define CHECK(condition)                                                         \
    do {                                                                         \
        if (!(condition)) {                                                      \
            std::fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            std::abort();                                                        \
        }                                                                        \
    } while (0)

namespace {

using namespace vm;
using vm_test::U32;

constexpr int kMostLevels = 2000;  // the reader's, before it asks the server
constexpr int64_t kMostDigits =
    1 << 20;  // that one document's numbers may print as: 1e131071 is cheap to write

ColumnSpec Spec(const std::string& name, Kind kind, bool array) {
    ColumnSpec spec;
    spec.name = name;
    spec.type_name = "some_type";
    spec.kind = kind;
    spec.array = array;
    spec.required = kind == Kind::Bool;
    spec.has_default = kind == Kind::Date;
    return spec;
}

// One column of every kind, and one of arrays of it, all from the same few fields; then what rules can add.
const Plan& ThePlan() {
    static const Plan* const made = [] {
        std::vector<ColumnSpec> specs;
        std::string rules =
            R"({"watermark":["at","when"],"on_error":"quarantine","unmapped":"rest","columns":{)";
        for (int k = 0; k <= static_cast<int>(Kind::Other); ++k) {
            const std::string n = std::to_string(k);
            specs.push_back(Spec("k" + n, static_cast<Kind>(k), false));
            specs.push_back(Spec("a" + n, static_cast<Kind>(k), true));
            rules += "\"k" + n + "\":{\"from\":[\"x\",\"k" + n + "\"]},\"a" + n +
                     "\":{\"from\":[\"xs\",\"x\",\"p.0\"]},";
        }
        const struct {
            const char *name, *rule;
            Kind kind;
            bool array;
        } kRuled[] = {
            {"made", R"({"from":["_id","x"],"as":"objectid_time"})", Kind::TimestampTz, false},
            {"at", R"({"from":["at","x"],"as":"epoch_seconds"})", Kind::Timestamp, false},
            {"when", R"({"from":["p.q.0.r","a\\.b.0","when"],"default":{"$date":0}})", Kind::TimestampTz,
             false},
            {"floored", R"({"from":"x","as":"floor"})", Kind::Int4, false},
            {"rounded", R"({"from":["xs","x"],"as":"round"})", Kind::Int2, true},
            {"said", R"({"from":"x","as":"json_text"})", Kind::Text, false},
            {"saids", R"({"from":"xs","as":"json_text"})", Kind::Other, true},
            {"plain", R"({"from":"x","normalize":true})", Kind::Jsonb, false},
            {"plains", R"({"from":"xs","normalize":true,"default":[1,null]})", Kind::Jsonb, true},
            {"count", R"({"from":["f","x"],"floor":{"count":0,"n":-1},"default":{}})", Kind::Jsonb, false},
            {"both", R"({"from":["f","x"],"floor":{"count":0},"normalize":true})", Kind::Jsonb, false},
            {"tenant", R"({"from":"t","default":{"arg":1}})", Kind::Text, false},
            {"names", R"({"from":"none","default":["a","b"]})", Kind::Text, true},
            {"rest", R"({"normalize":true})", Kind::Jsonb, false},
        };
        bool first = true;
        for (const auto& ruled : kRuled) {
            specs.push_back(Spec(ruled.name, ruled.kind, ruled.array));
            rules += std::string(first ? "\"" : ",\"") + ruled.name + "\":" + ruled.rule;
            first = false;
        }
        auto plan = new Plan;
        Problem problem;
        const std::vector<std::string> args = {"TENANT"};
        if (!Compile(rules + "}}", specs, &args, plan, &problem))
            std::fprintf(stderr, "%s: %s\n", problem.path, problem.text);
        CHECK(problem.reason == Reason::None);
        return plan;
    }();
    return *made;
}

std::string Text(const Tape& tape, uint32_t node) {
    Bytes out;
    JsonTextWriter().Write(tape, node, &out);
    return {out.data(), out.size()};
}

bool CleanText(std::string_view s) {
    return s.find('\0') == std::string_view::npos && vm_test::ValidUtf8(s);
}

// Where values may point, for one document.
struct Places {
    const Workspace& work;
    std::unordered_map<const char*, uint32_t> strings;  // of the document

    explicit Places(const Workspace& w) : work(w) {
        for (uint32_t i = 0; i < w.tape.size(); ++i)
            if (w.tape[i].type == Type::String) strings[w.tape[i].text] = w.tape[i].len;
    }
    bool InOutput(const char* p, size_t n) const {
        const Bytes& b = work.output.bytes;
        return p >= b.data() && n <= b.size() && static_cast<size_t>(p - b.data()) <= b.size() - n;
    }
    bool InFallback(const Column& c, const char* p, size_t n) const {
        const char* from = c.fallback_bytes.data();
        return p >= from && p + n <= from + c.fallback_bytes.size();
    }
};

void CheckDatum(const char* p, const Column& c, const Value& v, const Places& places) {
    const bool is_short = *p & 1;
    const size_t size = is_short ? static_cast<unsigned char>(*p) >> 1 : U32(p) >> 2;
    if (is_short) {
        CHECK(size >= 1);
        CHECK(c.target.kind == Kind::Text);
    } else {
        CHECK((U32(p) & 3) == 0 && size >= 4);
        CHECK(reinterpret_cast<uintptr_t>(p) % 4 == 0);
    }
    if (v.in_output) {
        CHECK(places.InOutput(p, size));
    } else if (!places.InFallback(c, p,
                                  size)) {  // a string of the document, its header over the quote before it
        const auto at = places.strings.find(p + 1);
        CHECK(is_short && at != places.strings.end() && at->second == size - 1);
    }
    const std::string_view payload = vm_test::VarlenaPayload(p);
    std::string text;
    switch (c.target.kind) {
        case Kind::Text: CHECK(CleanText(payload)); break;
        case Kind::Numeric: CHECK(vm_test::NumericText(payload, &text)); break;
        case Kind::Bytea: break;
        case Kind::Jsonb: CHECK(vm_test::JsonbText().Read(p, &text) && CleanText(text)); break;
        case Kind::Json: {
            ParsedText parsed;
            CHECK(CleanText(payload) && parsed.Read(payload) && Text(parsed.tape, 0) == payload);
            break;
        }
        default: CHECK(!"a kind that is no varlena");
    }
}

void CheckInt(const Column& c, int64_t i) {
    switch (c.target.kind) {
        case Kind::Bool: CHECK(i == 0 || i == 1); break;
        case Kind::Int2: CHECK(i >= INT16_MIN && i <= INT16_MAX); break;
        case Kind::Int4: CHECK(i >= INT32_MIN && i <= INT32_MAX); break;
        case Kind::Date: CHECK((i >= -2451545 && i < 106751983) || i == INT32_MAX || i == INT32_MIN); break;
        case Kind::Time: CHECK(i >= 0 && i <= kMicrosPerDay); break;
        case Kind::Timestamp:
        case Kind::TimestampTz:
            CHECK((i >= INT64_C(-211813488000000000) && i < INT64_C(9223371331200000000)) ||
                  i == kTimeInfinity || i == kTimeMinusInfinity);
            break;
        default: CHECK(c.target.kind == Kind::Int8);
    }
}

void CheckValue(const Value& v, const Column& c, const Places& places, bool element) {
    if (v.form == Form::Array) {
        CHECK(c.target.array && !element);
        const auto& all = places.work.output.elements;
        CHECK(v.first <= all.size() && v.count <= all.size() - v.first);
        for (uint32_t i = 0; i < v.count; ++i) CheckValue(all[v.first + i], c, places, true);
        return;
    }
    CHECK(v.form == Form::Null || c.target.array == element);
    if (v.form == Form::Int) CheckInt(c, v.i);
    if (v.form == Form::Float) CHECK(c.target.kind == Kind::Float4 || c.target.kind == Kind::Float8);
    if (v.form != Form::Datum && v.form != Form::Bytes && v.form != Form::Input) return;
    const Bytes& bytes = places.work.output.bytes;
    CHECK(!v.in_output || v.offset < bytes.size());
    const char* p = AddressOf(v, const_cast<char*>(bytes.data()));
    if (v.form == Form::Datum) {
        CheckDatum(p, c, v, places);
    } else if (v.form == Form::Bytes) {
        CHECK(c.target.kind == Kind::Uuid && (places.InOutput(p, 16) || places.InFallback(c, p, 16)));
    } else if (v.in_output) {
        const size_t room = bytes.size() - v.offset;
        CHECK(std::memchr(p, '\0', room) != nullptr && vm_test::ValidUtf8(p));
    } else if (!places.InFallback(c, p, 1)) {
        const auto at = places.strings.find(p);
        CHECK(at != places.strings.end() && std::strlen(p) == at->second && vm_test::ValidUtf8(p));
    }
}

void CheckProblem(const Problem& p, const Plan& plan) {
    CHECK(p.column >= 0 && static_cast<size_t>(p.column) < plan.columns.size());
    CHECK(Info(p.reason).name != nullptr && p.reason != Reason::Internal);
    CHECK(std::memchr(p.path, '\0', sizeof(p.path)) && std::memchr(p.value, '\0', sizeof(p.value)));
    CHECK(vm_test::ValidUtf8(p.path) && vm_test::ValidUtf8(p.value));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view doc(reinterpret_cast<const char*>(data), size);
    if (!CleanText(doc)) return -1;  // the server sees to that
    static Workspace work;
    const Plan& plan = ThePlan();

    const Reason read = work.Read(doc, true, false, false, nullptr);
    switch (vm_test::JsonGrammar::Judge(doc, kMostLevels)) {
        case vm_test::JsonGrammar::Verdict::Accepted: CHECK(read == Reason::None); break;
        case vm_test::JsonGrammar::Verdict::Refused: CHECK(read == Reason::NotJson); break;
        case vm_test::JsonGrammar::Verdict::TooDeep:
            CHECK(read == Reason::NeedsServer || read == Reason::NotJson);
            break;
    }
    work.DocumentId();
    if (read != Reason::None) {
        // The same through the reader for what the server has judged: never more, except depth.
        CHECK(work.Read(doc, true, true, false, nullptr) == Reason::NotJson || read == Reason::NeedsServer);
        return 0;
    }

    int64_t digits = 0;
    for (uint32_t i = 0; i < work.tape.size(); ++i) {
        Decimal d;
        if (work.tape[i].type == Type::Number &&
            ParseDecimal({work.tape[i].text, work.tape[i].len}, false, &d))
            digits += std::min<int64_t>(std::abs(d.exponent), 140000);
        // Text in strings can be a number too, for some columns.
        if (work.tape[i].type == Type::String &&
            ParseDecimal({work.tape[i].text, work.tape[i].len}, true, &d))
            digits += std::min<int64_t>(std::abs(d.exponent), 140000);
    }
    if (digits > kMostDigits) return 0;

    const std::string text = Text(work.tape, 0);
    CHECK(CleanText(text));
    ParsedText again;
    CHECK(again.Read(text));
    CHECK(Text(again.tape, 0) == text);
    Bytes jsonb;
    std::string from_jsonb;
    CHECK(JsonbWriter().Write(work.tape, 0, &jsonb));
    CHECK(vm_test::JsonbText().Read(jsonb.data(), &from_jsonb));
    CHECK(from_jsonb == text);
    if (work.tape[0].type != Type::Object) return 0;

    const bool good = work.Transform(plan, true);
    CHECK(work.problems.size() == plan.columns.size());
    CHECK(work.values.size() == plan.columns.size());
    const Places places(work);
    bool any = false;
    for (size_t c = 0; c < plan.columns.size(); ++c) {
        CheckProblem(work.problems[c], plan);
        CHECK(work.problems[c].column == static_cast<int>(c));
        any = any || work.problems[c].reason != Reason::None;
        if (work.problems[c].reason != Reason::None) CHECK(work.values[c].form == Form::Null);
        CheckValue(work.values[c], plan.columns[c], places, false);
    }
    CHECK(good == !any);

    // Stopping at the first problem gives the same verdict, and the strings in place are still themselves.
    const std::vector<Problem> all = work.problems;
    CHECK(work.Transform(plan, false) == good);
    if (!good) {
        const auto first =
            std::find_if(all.begin(), all.end(), [](const Problem& p) { return p.reason != Reason::None; });
        CHECK(work.problems.size() == 1 && work.problems[0].column == first->column);
        CHECK(work.problems[0].reason == first->reason && !std::strcmp(work.problems[0].path, first->path));
    }
    CHECK(Text(work.tape, 0) == text);
    work.DocumentId();
    return 0;
}
