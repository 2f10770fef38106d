#include "core/convert.h"

#include <charconv>

#include "core/base64.h"
#include "core/datetime.h"
#include "core/decimal.h"
#include "core/extjson.h"
#include "core/scalar.h"

namespace vm {

void Output::Clear() {
    bytes.Clear();
    elements.clear();
    scratch[0].Clear();
    scratch[1].Clear();
    rewriter.Clear();
}

void Output::Trim(size_t keep) {
    bytes.Trim(keep);
    if (elements.capacity() * sizeof(Value) > keep) std::vector<Value>().swap(elements);
    for (Tape& tape : scratch) tape.Trim(static_cast<uint32_t>(keep / sizeof(Node)));
}

namespace {

constexpr uint32_t kShortMost = 126;     // bytes a varlena with a one-byte header holds
constexpr size_t kMaxText = 0x3FFFFF00;  // a little less than the server's MaxAllocSize

// A string where it stands gets its varlena header over the quote before it.
char* ShortDatum(std::string_view s) {
    char* text = const_cast<char*>(s.data());
    const unsigned size = static_cast<unsigned>(s.size()) + 1;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    text[-1] = static_cast<char>(size << 1 | 1);
#else
    text[-1] = static_cast<char>(size | 0x80);
#endif
    return text - 1;
}

// Starts a varlena with a four-byte header; End fills it in.
size_t BeginVarlena(Bytes* out) {
    out->Align4();
    out->AppendU32(0);
    return out->size() - 4;
}

Value EndVarlena(size_t start, Bytes* out) {
    out->SetU32(start, VarlenaHeader(static_cast<uint32_t>(out->size() - start)));
    Value v;
    v.form = Form::Datum;
    v.in_output = true;
    v.offset = start;
    return v;
}

Value IntValue(int64_t i) {
    Value v;
    v.form = Form::Int;
    v.i = i;
    return v;
}

Value InputAt(size_t start, Bytes* out) {
    out->Append('\0');
    Value v;
    v.form = Form::Input;
    v.in_output = true;
    v.offset = start;
    return v;
}

Value InputInPlace(std::string_view s) {
    Value v;
    v.form = Form::Input;
    v.text = const_cast<char*>(s.data());
    return v;
}

Reason ToText(const Tape& tape, uint32_t node, Conversion as, bool input, Output* out, Value* value) {
    const Node& n = tape[node];
    if (as == Conversion::JsonText) {
        if (n.type == Type::Null) return Reason::None;
    } else {
        const Scalar s = Unwrap(tape, node);
        if (s.kind == ScalarKind::Null) return Reason::None;
        if (s.kind == ScalarKind::String || s.kind == ScalarKind::Uuid || s.kind == ScalarKind::Binary) {
            if (input) {
                *value = InputInPlace(s.text);
            } else if (s.text.size() <= kShortMost) {
                value->form = Form::Datum;
                value->text = ShortDatum(s.text);
            } else {
                *value = TextDatum(s.text, &out->bytes);
            }
            return Reason::None;
        }
        const size_t start = input ? out->bytes.size() : BeginVarlena(&out->bytes);
        bool composite;
        const size_t before = out->bytes.size();
        if (!AppendScalarText(tape, s, &out->bytes, &composite))
            return s.kind == ScalarKind::Oid ? Reason::InvalidObjectId : Reason::InvalidText;
        if (!composite) {
            if (s.kind == ScalarKind::Date && out->bytes.size() == before)
                return Reason::None;  // {"$date": {…null}}
            *value = input ? InputAt(start, &out->bytes) : EndVarlena(start, &out->bytes);
            return Reason::None;
        }
        out->bytes.Resize(start);
    }
    const size_t start = input ? out->bytes.size() : BeginVarlena(&out->bytes);
    out->json.Write(tape, node, &out->bytes, kMaxText);
    if (out->bytes.size() - start > kMaxText) return Reason::TooLarge;
    *value = input ? InputAt(start, &out->bytes) : EndVarlena(start, &out->bytes);
    return Reason::None;
}

char Lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

std::string_view TrimBlanks(std::string_view s) {
    const auto blank = [](char c) { return c == ' ' || (c >= '\t' && c <= '\r'); };
    while (!s.empty() && blank(s.front())) s.remove_prefix(1);
    while (!s.empty() && blank(s.back())) s.remove_suffix(1);
    return s;
}

// PostgreSQL's spellings: any unambiguous beginning of true, false, yes, no, on, off; 1 and 0.
Reason BoolFromText(std::string_view s, Value* value) {
    s = TrimBlanks(s);
    struct Word {
        std::string_view text;
        size_t least;
        bool truth;
    };
    constexpr Word kWords[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
                               {"on", 2, true},   {"off", 2, false},   {"1", 1, true},   {"0", 1, false}};
    for (const Word& word : kWords) {
        if (s.size() < word.least || s.size() > word.text.size()) continue;
        size_t i = 0;
        while (i < s.size() && Lower(s[i]) == word.text[i]) ++i;
        if (i < s.size()) continue;
        *value = IntValue(word.truth);
        return Reason::None;
    }
    return Reason::InvalidText;
}

Reason ToBool(const Tape& tape, uint32_t node, Output* out, Value* value) {
    const Scalar s = Unwrap(tape, node);
    switch (s.kind) {
        case ScalarKind::Null: return Reason::None;
        case ScalarKind::Bool: *value = IntValue(s.truth); return Reason::None;
        case ScalarKind::String: return BoolFromText(s.text, value);
        case ScalarKind::Number: {
            const size_t start = out->bytes.size();
            bool composite;
            if (!AppendScalarText(tape, s, &out->bytes, &composite)) return Reason::InvalidText;
            const Reason reason = BoolFromText({out->bytes.data() + start, out->bytes.size() - start}, value);
            out->bytes.Resize(start);
            return reason;
        }
        default: return Reason::InvalidText;
    }
}

Reason ToInteger(const Tape& tape, uint32_t node, Kind kind, Rounding rounding, Value* value) {
    const Scalar s = Unwrap(tape, node);
    if (s.kind == ScalarKind::Null) return Reason::None;
    if (s.kind != ScalarKind::Number && s.kind != ScalarKind::String) return Reason::InvalidText;
    const int64_t max = kind == Kind::Int2 ? INT16_MAX : kind == Kind::Int4 ? INT32_MAX : INT64_MAX;
    int64_t i;
    if (ParseSmallInteger(s.text, &i)) {
        if (i > max || i < -max - 1) return Reason::NumberRange;
        *value = IntValue(i);
        return Reason::None;
    }
    Decimal d;
    if (!ParseDecimal(s.text, true, &d)) return Reason::InvalidText;
    switch (DecimalToInt(d, rounding, -max - 1, max, &i)) {
        case ToInt::Ok: *value = IntValue(i); return Reason::None;
        case ToInt::HasFraction: return Reason::HasFraction;
        default: return Reason::NumberRange;
    }
}

// The integers most arrays hold, which need no rounding of whatever kind. False if it takes ToInteger.
bool CommonInteger(const Node& n, Kind kind, Value* value) {
    if (n.type != Type::Number || (kind != Kind::Int4 && kind != Kind::Int8)) return false;
    int64_t i;
    if (!ParseSmallInteger(TextOf(n), &i) || (kind == Kind::Int4 && i != static_cast<int32_t>(i)))
        return false;
    *value = IntValue(i);
    return true;
}

Reason ToFloat(const Tape& tape, uint32_t node, Kind kind, Value* value) {
    const Scalar s = Unwrap(tape, node);
    if (s.kind == ScalarKind::Null) return Reason::None;
    if (s.kind != ScalarKind::Number && s.kind != ScalarKind::String) return Reason::InvalidText;
    value->form = Form::Float;
    Special special;
    Decimal d;
    if (ParseSpecial(s.text, &special)) {
        value->f = special == Special::NaN        ? __builtin_nan("")
                   : special == Special::Infinity ? __builtin_inf()
                                                  : -__builtin_inf();
        return Reason::None;
    }
    if (!ParseDecimal(s.text, true, &d)) return Reason::InvalidText;
    std::string_view text = TrimBlanks(s.text);
    if (text.front() == '+') text.remove_prefix(1);
    std::from_chars_result r;
    if (kind == Kind::Float4) {
        float f = 0;
        r = std::from_chars(text.data(), text.data() + text.size(), f);
        value->f = f;
    } else {
        r = std::from_chars(text.data(), text.data() + text.size(), value->f);
    }
    if (value->f == 0 && tape[s.node].type == Type::Number) value->f = 0;  // jsonb's numbers know no -0
    if (r.ec == std::errc::result_out_of_range) return Reason::NumberRange;
    return r.ec == std::errc() ? Reason::None : Reason::InvalidText;
}

Reason ToNumeric(const Tape& tape, uint32_t node, Output* out, Value* value) {
    const Scalar s = Unwrap(tape, node);
    if (s.kind == ScalarKind::Null) return Reason::None;
    if (s.kind != ScalarKind::Number && s.kind != ScalarKind::String) return Reason::InvalidText;
    Decimal d;
    Special special = Special::None;
    if (ParseDecimal(s.text, true, &d)) {
        if (!FitsNumeric(d)) return Reason::NumberRange;
    } else if (!ParseSpecial(s.text, &special)) {
        return Reason::InvalidText;
    }
    out->bytes.Align4();
    value->form = Form::Datum;
    value->in_output = true;
    value->offset = out->bytes.size();
    if (special == Special::None)
        AppendNumeric(d, &out->bytes);
    else
        AppendNumericSpecial(special, &out->bytes);
    return Reason::None;
}

Reason ToTime(const Tape& tape, uint32_t node, Kind kind, Conversion as, Value* value) {
    if (as == Conversion::ObjectIdTime) {
        const uint32_t oid = Member(tape, node, "$oid");
        if (oid == 0 || tape[oid].type == Type::Null) return Reason::None;
        int64_t seconds;
        if (tape[oid].type != Type::String || !ParseObjectId(TextOf(tape[oid]), &seconds))
            return Reason::InvalidObjectId;
        int64_t t;
        TimeFromSeconds(seconds, &t);
        *value = IntValue(kind == Kind::Date ? DayOf(t) : t);
        return Reason::None;
    }
    int64_t t;
    bool null;
    const Reason reason = TimeOf(tape, node, as == Conversion::EpochSeconds ? 1000 : 1, &t, &null);
    if (reason != Reason::None || null) return reason;
    if (kind == Kind::Date)
        t = t == kTimeInfinity ? INT32_MAX : t == kTimeMinusInfinity ? INT32_MIN : DayOf(t);
    *value = IntValue(t);
    return Reason::None;
}

// A time of day: hh:mm[:ss[.f]], or the UTC time of day of a full date.
Reason ToClock(const Tape& tape, uint32_t node, Value* value) {
    const Scalar s = Unwrap(tape, node);
    int64_t t;
    bool null = false;
    Reason reason = Reason::InvalidTime;
    if (s.kind == ScalarKind::Null) return Reason::None;
    if (s.kind == ScalarKind::String) {
        reason = ClockFromText(s.text, &t);
        if (reason != Reason::InvalidTime) {
            if (reason == Reason::None) *value = IntValue(t);
            return reason;
        }
    }
    if (s.kind == ScalarKind::Number || s.kind == ScalarKind::MinKey || s.kind == ScalarKind::MaxKey)
        return Reason::InvalidTime;
    reason = TimeOf(tape, node, 1, &t, &null);
    if (reason != Reason::None || null) return reason;
    *value = IntValue(t - DayOf(t) * kMicrosPerDay);
    return Reason::None;
}

Reason ToUuid(const Tape& tape, uint32_t node, Output* out, Value* value) {
    const Scalar s = Unwrap(tape, node);
    value->in_output = true;
    switch (s.kind) {
        case ScalarKind::Null: return Reason::None;
        case ScalarKind::Binary:
            if (!BinaryUuid(s, &out->bytes, &value->offset)) return Reason::InvalidText;
            value->form = Form::Bytes;
            return Reason::None;
        case ScalarKind::String:
        case ScalarKind::Uuid: {
            unsigned char bytes[16];
            if (!ParseUuid(s.text, bytes)) {  // other spellings are the type's own business
                *value = InputInPlace(s.text);
                return Reason::None;
            }
            value->form = Form::Bytes;
            value->offset = out->bytes.size();
            std::memcpy(out->bytes.Extend(16), bytes, 16);
            return Reason::None;
        }
        default: return Reason::InvalidText;
    }
}

Reason ToBytea(const Tape& tape, uint32_t node, Output* out, Value* value) {
    const Scalar s = Unwrap(tape, node);
    switch (s.kind) {
        case ScalarKind::Null: return Reason::None;
        case ScalarKind::String: *value = InputInPlace(s.text); return Reason::None;
        case ScalarKind::Binary: {
            const size_t start = BeginVarlena(&out->bytes);
            if (!AppendBase64Decoded(s.text, &out->bytes)) return Reason::InvalidText;
            *value = EndVarlena(start, &out->bytes);
            return Reason::None;
        }
        default: return Reason::InvalidText;
    }
}

// Whether the members that are to be floored are whole numbers as they stand: then there is nothing to do.
bool AllWhole(const Tape& tape, uint32_t node, const std::vector<Floor>& floors) {
    for (const Floor& floor : floors) {
        const uint32_t member = Member(tape, node, floor.name);
        int64_t v;
        if (member == 0 || tape[member].type != Type::Number || !ParseSmallInteger(TextOf(tape[member]), &v))
            return false;
    }
    return true;
}

ConvertResult ToJsonb(const Tape& tape, uint32_t node, const Target& target, Output* out, Value* value) {
    ConvertResult result;
    if (tape[node].type == Type::Null) return result;
    const Tape* from = &tape;
    if (target.normalize) {
        out->scratch[0].Clear();
        node = out->rewriter.Normalize(*from, node, &out->scratch[0]);
        from = &out->scratch[0];
        if ((*from)[node].type == Type::Null) return result;
    }
    if (!target.floors.empty() && !AllWhole(*from, node, target.floors)) {
        size_t bad = 0;
        out->scratch[1].Clear();
        result.reason = out->rewriter.ApplyFloors(*from, node, target.floors, &out->scratch[1], &node,
                                                  &result.concatenated, &bad);
        if (result.reason != Reason::None) {
            result.member = target.floors[bad].name.c_str();
            return result;
        }
        from = &out->scratch[1];
    }
    out->bytes.Align4();
    value->form = Form::Datum;
    value->in_output = true;
    value->offset = out->bytes.size();
    if (!out->jsonb.Write(*from, node, &out->bytes)) result.reason = Reason::TooLarge;
    return result;
}

Reason ToScalar(const Tape& tape, uint32_t node, Kind kind, Conversion as, bool element, Output* out,
                Value* value) {
    switch (kind) {
        case Kind::Text: return ToText(tape, node, as, false, out, value);
        case Kind::Bool: return ToBool(tape, node, out, value);
        case Kind::Int2:
        case Kind::Int4:
        case Kind::Int8: {
            // Elements round as the article's numeric::integer does; a scalar that is no integer is an error.
            const Rounding rounding = as == Conversion::Floor              ? Rounding::Floor
                                      : as == Conversion::Round || element ? Rounding::HalfAway
                                                                           : Rounding::Exact;
            return ToInteger(tape, node, kind, rounding, value);
        }
        case Kind::Float4:
        case Kind::Float8: return ToFloat(tape, node, kind, value);
        case Kind::Numeric: return ToNumeric(tape, node, out, value);
        case Kind::TimestampTz:
        case Kind::Timestamp:
        case Kind::Date: return ToTime(tape, node, kind, as, value);
        case Kind::Time: return ToClock(tape, node, value);
        case Kind::Uuid: return ToUuid(tape, node, out, value);
        case Kind::Bytea: return ToBytea(tape, node, out, value);
        case Kind::Json: return ToText(tape, node, Conversion::JsonText, false, out, value);
        case Kind::Other: return ToText(tape, node, as, true, out, value);
        default: return Reason::Internal;
    }
}

}  // namespace

Value TextDatum(std::string_view text, Bytes* out) {
    const size_t start = BeginVarlena(out);
    out->Append(text);
    return EndVarlena(start, out);
}

bool ConvertCommon(const Tape& tape, uint32_t node, Kind kind, Output* out, Value* value) {
    const Node& n = tape[node];
    switch (kind) {
        case Kind::Text:
            if (n.type != Type::String) return false;
            if (n.len <= kShortMost) {
                value->form = Form::Datum;
                value->text = ShortDatum(TextOf(n));
            } else {
                *value = TextDatum(TextOf(n), &out->bytes);
            }
            return true;
        case Kind::Bool:
            if (n.type != Type::True && n.type != Type::False) return false;
            *value = IntValue(n.type == Type::True);
            return true;
        case Kind::TimestampTz: {
            int64_t ms, micros;
            if (n.type != Type::Object || n.count != 1 || tape[node + 2].type != Type::Number ||
                TextOf(tape[node + 1]) != "$date" || !ParseSmallInteger(TextOf(tape[node + 2]), &ms) ||
                TimeFromMillis(ms, &micros) != Reason::None)
                return false;
            *value = IntValue(micros);
            return true;
        }
        case Kind::Jsonb:
            if (n.type == Type::Null) return false;
            out->bytes.Align4();
            value->form = Form::Datum;
            value->in_output = true;
            value->offset = out->bytes.size();
            return out->jsonb.Write(tape, node, &out->bytes);
        default: return false;
    }
}

ConvertResult Convert(const Tape& tape, uint32_t node, const Target& target, Output* out, Value* value) {
    *value = Value();
    if (!target.array) {
        if (target.kind == Kind::Jsonb) return ToJsonb(tape, node, target, out, value);
        ConvertResult result;
        result.reason = ToScalar(tape, node, target.kind, target.as, false, out, value);
        return result;
    }

    ConvertResult result;
    const Node& array = tape[node];
    if (array.type != Type::Array) {
        if (Unwrap(tape, node).kind == ScalarKind::Null) return result;
        result.reason = Reason::NotAnArray;
        return result;
    }
    Value whole;
    whole.form = Form::Array;
    whole.first = static_cast<uint32_t>(out->elements.size());
    whole.count = static_cast<uint32_t>(array.count);
    out->elements.reserve(out->elements.size() + array.count);
    int64_t index = 0;
    for (uint32_t i = node + 1; i < array.len; i = tape.After(i), ++index) {
        Value& element = out->elements.emplace_back();  // no scalar adds elements of its own
        if (target.kind == Kind::Jsonb)
            result = ToJsonb(tape, i, target, out, &element);
        else if (!CommonInteger(tape[i], target.kind, &element))
            result.reason = ToScalar(tape, i, target.kind, target.as, true, out, &element);
        if (result.reason != Reason::None) {
            result.element = index;
            return result;
        }
    }
    *value = whole;
    return result;
}

}  // namespace vm
