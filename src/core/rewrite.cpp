#include "core/rewrite.h"

#include "core/base64.h"
#include "core/datetime.h"
#include "core/decimal.h"
#include "core/extjson.h"
#include "core/scalar.h"

namespace vm {

char* TextPool::Add(std::string_view text) {
    const size_t need = text.size() + kTextPadding;
    char* to;
    if (need > kChunk / 4) {  // a chunk of its own, before the one in use
        to = chunks_.emplace(chunks_.empty() ? chunks_.end() : chunks_.end() - 1, new char[need])->get();
        if (chunks_.size() == 1) NewChunk();
    } else {
        if (chunks_.empty() || used_ + need > kChunk) NewChunk();
        to = chunks_.back().get() + used_;
        used_ += need;
    }
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    to[text.size()] = '\0';
    return to;
}

void TextPool::Clear() {
    if (chunks_.empty()) return;
    chunks_.erase(chunks_.begin(), chunks_.end() - 1);  // the last one is of the common size
    used_ = 0;
}

uint32_t Rewriter::PushText(Type type, std::string_view text, Tape* out) {
    return out->Push(type, pool_.Add(text), static_cast<uint32_t>(text.size()));
}

uint32_t Rewriter::Copy(const Tape& in, uint32_t node, Tape* out) {
    const uint32_t end = in.After(node), start = out->size();
    for (uint32_t i = node; i < end; ++i) {
        const Node& n = in[i];
        const uint32_t to = out->Push(n.type, n.text, n.len);
        (*out)[to].dollar = n.dollar;
        if (IsContainer(n)) {
            (*out)[to].count = n.count;
            (*out)[to].len = n.len - node + start;
        }
    }
    return start;
}

// Appends the plain form of the wrapper at `node`; false, with nothing appended, if it has none.
bool Rewriter::PushPlain(const Tape& in, uint32_t node, Tape* out) {
    const Scalar s = Unwrap(in, node);
    scratch_.Clear();
    switch (s.kind) {
        case ScalarKind::Null: out->Push(Type::Null, nullptr, 0); return true;
        case ScalarKind::String:
        case ScalarKind::Uuid:
            out->Push(Type::String, const_cast<char*>(s.text.data()), static_cast<uint32_t>(s.text.size()));
            return true;
        case ScalarKind::Binary: {
            size_t at;
            if (!BinaryUuid(s, &scratch_, &at)) {
                out->Push(Type::String, const_cast<char*>(s.text.data()),
                          static_cast<uint32_t>(s.text.size()));
                return true;
            }
            unsigned char bytes[16];
            std::memcpy(bytes, scratch_.data() + at, 16);
            scratch_.Clear();
            AppendUuidText(bytes, &scratch_);
            PushText(Type::String, {scratch_.data(), scratch_.size()}, out);
            return true;
        }
        case ScalarKind::Oid:
        case ScalarKind::Date:
        case ScalarKind::Number: {
            bool composite;
            if (!AppendScalarText(in, s, &scratch_, &composite) || composite) return false;
            const std::string_view text(scratch_.data(), scratch_.size());
            if (text.empty()) return false;
            const bool number =
                s.kind == ScalarKind::Number && HexDigit(text.back()) >= 0 && text.back() <= '9';
            PushText(number ? Type::Number : Type::String, text, out);
            return true;
        }
        default: return false;
    }
}

uint32_t Rewriter::Normalize(const Tape& in, uint32_t node, Tape* out) {
    struct Open {
        uint32_t to;
        uint32_t end;
    };
    std::vector<Open> open;
    const uint32_t end = in.After(node), start = out->size();
    uint32_t i = node;
    for (;;) {
        while (!open.empty() && open.back().end == i) {
            (*out)[open.back().to].len = out->size();
            open.pop_back();
        }
        if (i == end) return start;
        const Node& n = in[i];
        if (n.type == Type::Object && n.dollar) {
            if (Recognise(in, i).kind != Wrapper::None) {
                if (!PushPlain(in, i, out)) Copy(in, i, out);
                i = in.After(i);
                continue;
            }
        }
        const uint32_t to = out->Push(n.type, n.text, n.len);
        (*out)[to].dollar = n.dollar;
        if (IsContainer(n)) {
            (*out)[to].count = n.count;
            open.push_back({to, n.len});
        }
        ++i;
    }
}

Reason Rewriter::ApplyFloors(const Tape& in, uint32_t node, const std::vector<Floor>& floors, Tape* out,
                             uint32_t* result, bool* concatenated, size_t* bad) {
    const bool is_object = in[node].type == Type::Object;
    *concatenated = !is_object;
    uint32_t array = 0;
    if (!is_object) {
        *result = array = out->Push(Type::Array, nullptr, 0);
        if (in[node].type == Type::Array) {
            (*out)[array].count = in[node].count + 1;
            for (uint32_t i = node + 1; i < in[node].len; i = in.After(i)) Copy(in, i, out);
        } else {
            (*out)[array].count = 2;
            Copy(in, node, out);
        }
    }

    const uint32_t object = out->Push(Type::Object, nullptr, 0);
    if (is_object) *result = object;
    uint64_t count = 0;
    for (uint32_t i = node + 1; is_object && i < in[node].len; i = in.After(i + 1)) {
        bool floored = false;
        for (const Floor& floor : floors) floored = floored || TextOf(in[i]) == floor.name;
        if (floored) continue;
        out->Push(Type::Key, in[i].text, in[i].len);
        Copy(in, i + 1, out);
        ++count;
    }
    for (size_t f = 0; f < floors.size(); ++f) {
        PushText(Type::Key, floors[f].name, out);
        ++count;
        const uint32_t member = is_object ? Member(in, node, floors[f].name) : 0;
        Scalar s;
        if (member != 0) s = Unwrap(in, member);
        if (s.kind == ScalarKind::Null) {
            PushText(Type::Number, floors[f].fallback, out);
            continue;
        }
        Decimal d;
        const bool number =
            (s.kind == ScalarKind::Number || s.kind == ScalarKind::String) && ParseDecimal(s.text, true, &d);
        if (!number || !FitsNumeric(d)) {
            *bad = f;
            return number ? Reason::NumberRange : Reason::InvalidText;
        }
        scratch_.Clear();
        AppendFloorText(d, &scratch_);
        if (!NumberFitsNumeric({scratch_.data(), scratch_.size()})) {  // a carry made it longer
            *bad = f;
            return Reason::NumberRange;
        }
        PushText(Type::Number, {scratch_.data(), scratch_.size()}, out);
    }
    (*out)[object].count = count;
    (*out)[object].len = out->size();
    if (!is_object) (*out)[array].len = out->size();
    return Reason::None;
}

uint32_t Rewriter::Collect(const Tape& in, const std::vector<uint32_t>& keys, Tape* out) {
    const uint32_t object = out->Push(Type::Object, nullptr, 0);
    for (const uint32_t key : keys) {
        out->Push(Type::Key, in[key].text, in[key].len);
        Copy(in, key + 1, out);
    }
    (*out)[object].count = keys.size();
    (*out)[object].len = out->size();
    return object;
}

}  // namespace vm
