// What the unit tests share: documents from text, and values as text that a test can compare.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/convert.h"
#include "core/json_text.h"
#include "core/plan.h"
#include "jsonb_text.h"

namespace vm_test {

inline std::string Str(const vm::Bytes& b) {
    return b.size() ? std::string(b.data(), b.size()) : std::string();
}

inline std::string Hex(std::string_view bytes) {
    constexpr char kHex[] = "0123456789abcdef";
    std::string s;
    for (const char c : bytes) {
        s += kHex[static_cast<unsigned char>(c) >> 4];
        s += kHex[c & 15];
    }
    return s;
}

inline std::string Repeat(std::string_view s, size_t n) {
    std::string all;
    for (size_t i = 0; i < n; ++i) all += s;
    return all;
}

// A document and its tape; the root is node 0.
struct Doc {
    vm::ParsedText parsed;
    vm::Tape& tape = parsed.tape;
    explicit Doc(std::string_view text) { EXPECT_TRUE(parsed.Read(text)) << text.substr(0, 200); }
};

inline std::string Json(const vm::Tape& tape, uint32_t node = 0) {
    vm::Bytes out;
    vm::JsonTextWriter().Write(tape, node, &out);
    return Str(out);
}

// A value readably: null, 5, 1.5, text 'x', input 'x', bytes 00ff, {…} of an array. `Kind` says how to read a
// datum.
inline std::string Show(const vm::Value& v, vm::Kind kind, vm::Output* out,
                        const vm::Value* elements = nullptr) {
    const char* at = nullptr;
    if (v.form == vm::Form::Datum || v.form == vm::Form::Bytes || v.form == vm::Form::Input)
        at = vm::AddressOf(v, out->bytes.data());
    switch (v.form) {
        case vm::Form::Null: return v.source == vm::kLeftAlone ? "left alone" : "null";
        case vm::Form::Int: return std::to_string(v.i);
        case vm::Form::Float: {
            char text[40];
            std::snprintf(text, sizeof(text), "%.17g", v.f);
            return text;
        }
        case vm::Form::Input: return "input '" + std::string(at) + "'";
        case vm::Form::Bytes: return "bytes " + Hex({at, 16});
        case vm::Form::Array: {
            std::string s = "{";
            for (uint32_t i = 0; i < v.count; ++i)
                s += (i ? "," : "") +
                     Show((elements ? elements : out->elements.data())[v.first + i], kind, out);
            return s + "}";
        }
        case vm::Form::Datum: break;
    }
    std::string text;
    switch (kind) {
        case vm::Kind::Jsonb: EXPECT_TRUE(JsonbText().Read(at, &text)) << text; return text;
        case vm::Kind::Numeric:
            EXPECT_TRUE(NumericText(VarlenaPayload(at), &text)) << Hex(VarlenaPayload(at));
            return text;
        case vm::Kind::Bytea: return "\\x" + Hex(VarlenaPayload(at));
        default: return "'" + std::string(VarlenaPayload(at)) + "'";
    }
}

}  // namespace vm_test

namespace vm {
inline void PrintTo(Reason reason, std::ostream* to) {
    *to << Info(reason).name;
}
}  // namespace vm
