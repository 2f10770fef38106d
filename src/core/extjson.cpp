#include "core/extjson.h"

namespace vm {

namespace {

struct Shape {
    Wrapper kind;
    std::string_view first;
    std::string_view second;  // empty: one key only
};

constexpr Shape kShapes[] = {
    {Wrapper::Oid, "$oid", {}},
    {Wrapper::Date, "$date", {}},
    {Wrapper::NumberInt, "$numberInt", {}},
    {Wrapper::NumberLong, "$numberLong", {}},
    {Wrapper::NumberDouble, "$numberDouble", {}},
    {Wrapper::NumberDecimal, "$numberDecimal", {}},
    {Wrapper::Binary, "$binary", {}},
    {Wrapper::Binary, "$binary", "$type"},
    {Wrapper::Uuid, "$uuid", {}},
    {Wrapper::Regex, "$regularExpression", {}},
    {Wrapper::Regex, "$regex", "$options"},
    {Wrapper::Timestamp, "$timestamp", {}},
    {Wrapper::Undefined, "$undefined", {}},
    {Wrapper::MinKey, "$minKey", {}},
    {Wrapper::MaxKey, "$maxKey", {}},
    {Wrapper::Symbol, "$symbol", {}},
    {Wrapper::Code, "$code", {}},
    {Wrapper::CodeWithScope, "$code", "$scope"},
    {Wrapper::DbPointer, "$dbPointer", {}},
    {Wrapper::Ref, "$ref", "$id"},
};

// The distinct keys of a small object with their last values. More than kMost and it is no wrapper.
struct Keys {
    static constexpr int kMost = 3;
    std::string_view key[kMost];
    uint32_t value[kMost];
    int n = 0;

    bool Add(std::string_view k, uint32_t v) {
        for (int i = 0; i < n; ++i)
            if (key[i] == k) {
                value[i] = v;
                return true;
            }
        if (n == kMost) return false;
        key[n] = k;
        value[n++] = v;
        return true;
    }

    uint32_t Find(std::string_view k) const {
        for (int i = 0; i < n; ++i)
            if (key[i] == k) return value[i];
        return 0;
    }
};

bool Collect(const Tape& tape, uint32_t node, Keys* keys) {
    const Node& object = tape[node];
    for (uint32_t i = node + 1; i < object.len; i = tape.After(i + 1))
        if (!keys->Add(TextOf(tape[i]), i + 1)) return false;
    return true;
}

// {"$binary": {"base64": …, "subType": …}} and {"$regularExpression": {"pattern": …, "options": …}} carry two
// payloads in a document of their own.
bool Inner(const Tape& tape, Wrapped* w, std::string_view first, std::string_view second) {
    Keys keys;
    if (tape[w->a].type != Type::Object || !Collect(tape, w->a, &keys) || keys.n != 2) return false;
    const uint32_t a = keys.Find(first), b = keys.Find(second);
    if (a == 0 || b == 0) return false;
    w->a = a;
    w->b = b;
    return true;
}

}  // namespace

Wrapped Recognise(const Tape& tape, uint32_t node) {
    const Node& object = tape[node];
    if (object.type != Type::Object || !object.dollar) return {};
    Keys keys;
    if (!Collect(tape, node, &keys)) return {};

    if (keys.n == 3) {  // DBRef with a database
        Wrapped w{Wrapper::Ref, keys.Find("$ref"), keys.Find("$id")};
        return w.a && w.b && keys.Find("$db") ? w : Wrapped{};
    }
    for (const Shape& shape : kShapes) {
        if (keys.n != (shape.second.empty() ? 1 : 2)) continue;
        Wrapped w{shape.kind, keys.Find(shape.first), 0};
        if (w.a == 0) continue;
        if (!shape.second.empty()) {
            w.b = keys.Find(shape.second);
            if (w.b == 0) continue;
            return w;
        }
        switch (shape.kind) {
            case Wrapper::Binary: return Inner(tape, &w, "base64", "subType") ? w : Wrapped{};
            case Wrapper::Regex: return Inner(tape, &w, "pattern", "options") ? w : Wrapped{};
            case Wrapper::Timestamp: return Inner(tape, &w, "t", "i") ? w : Wrapped{};
            default: return w;
        }
    }
    return {};
}

uint32_t Member(const Tape& tape, uint32_t node, std::string_view key) {
    const Node& object = tape[node];
    if (object.type != Type::Object) return 0;
    uint32_t found = 0;
    for (uint32_t i = node + 1; i < object.len; i = tape.After(i + 1))
        if (TextOf(tape[i]) == key) found = i + 1;
    return found;
}

}  // namespace vm
