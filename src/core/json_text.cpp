#include "core/json_text.h"

#include "core/decimal.h"

namespace vm {

void AppendJsonString(std::string_view text, Bytes* out) {
    constexpr char kHex[] = "0123456789abcdef";
    out->Append('"');
    for (const char c : text) {
        switch (c) {
            case '\b': out->Append("\\b"); break;
            case '\f': out->Append("\\f"); break;
            case '\n': out->Append("\\n"); break;
            case '\r': out->Append("\\r"); break;
            case '\t': out->Append("\\t"); break;
            case '"': out->Append("\\\""); break;
            case '\\': out->Append("\\\\"); break;
            default:
                if (static_cast<unsigned char>(c) < ' ') {
                    out->Append("\\u00");
                    out->Append(kHex[c >> 4]);
                    out->Append(kHex[c & 15]);
                } else {
                    out->Append(c);
                }
        }
    }
    out->Append('"');
}

namespace {

void AppendScalar(const Node& n, Bytes* out) {
    switch (n.type) {
        case Type::Null: out->Append("null"); break;
        case Type::False: out->Append("false"); break;
        case Type::True: out->Append("true"); break;
        case Type::Number: {
            Decimal d;
            ParseDecimal({n.text, n.len}, false, &d);
            AppendNumericText(d, out);
            break;
        }
        default: AppendJsonString({n.text, n.len}, out); break;
    }
}

}  // namespace

void JsonTextWriter::Write(const Tape& tape, uint32_t node, Bytes* out, size_t most) {
    frames_.clear();
    members_.clear();
    const size_t start = out->size();
    uint32_t value = node;
    for (;;) {
        const Node& n = tape[value];
        if (IsContainer(n)) {
            const bool is_object = n.type == Type::Object;
            Frame f{value + 1, static_cast<uint32_t>(n.count), 0, members_.size(), is_object};
            if (is_object) f.count = static_cast<uint32_t>(AppendSortedMembers(tape, value, &members_));
            out->Append(is_object ? '{' : '[');
            frames_.push_back(f);
        } else {
            AppendScalar(n, out);
        }
        for (;;) {  // close what is whole, then step to the next value
            if (frames_.empty() || out->size() - start > most) return;
            Frame& f = frames_.back();
            if (f.done < f.count) {
                if (f.done > 0) out->Append(", ");
                if (f.is_object) {
                    const uint32_t key = members_[f.members + f.done].key;
                    AppendJsonString({tape[key].text, tape[key].len}, out);
                    out->Append(": ");
                    value = key + 1;
                } else {
                    value = f.next;
                    f.next = tape.After(value);
                }
                ++f.done;
                break;
            }
            out->Append(f.is_object ? '}' : ']');
            members_.resize(f.members);
            frames_.pop_back();
        }
    }
}

}  // namespace vm
