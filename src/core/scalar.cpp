#include "core/scalar.h"

#include "core/base64.h"
#include "core/datetime.h"
#include "core/decimal.h"
#include "core/extjson.h"

namespace vm {

namespace {

int SubtypeOf(const Node& n) {
    if (n.type == Type::String && n.len >= 1 && n.len <= 2) {
        int v = 0;
        for (uint32_t i = 0; i < n.len; ++i) {
            const int digit = HexDigit(n.text[i]);
            if (digit < 0) return -1;
            v = v * 16 + digit;
        }
        return v;
    }
    Decimal d;
    int64_t v;
    if (n.type == Type::Number && ParseDecimal({n.text, n.len}, false, &d) &&
        DecimalToInt(d, Rounding::Exact, 0, 255, &v) == ToInt::Ok)
        return static_cast<int>(v);
    return -1;
}

Scalar Plain(const Node& n, uint32_t node) {
    Scalar s;
    s.node = node;
    switch (n.type) {
        case Type::Null: s.kind = ScalarKind::Null; break;
        case Type::False: s.kind = ScalarKind::Bool; break;
        case Type::True:
            s.kind = ScalarKind::Bool;
            s.truth = true;
            break;
        case Type::Number:
            s.kind = ScalarKind::Number;
            s.text = TextOf(n);
            break;
        case Type::String:
        case Type::Key:
            s.kind = ScalarKind::String;
            s.text = TextOf(n);
            break;
        default: s.kind = ScalarKind::Composite; break;
    }
    return s;
}

}  // namespace

Scalar Unwrap(const Tape& tape, uint32_t node) {
    const Node& n = tape[node];
    if (n.type != Type::Object || !n.dollar) return Plain(n, node);
    const Wrapped w = Recognise(tape, node);
    Scalar composite;
    composite.kind = ScalarKind::Composite;
    composite.node = node;
    if (w.kind == Wrapper::None) return composite;

    const Node& a = tape[w.a];
    Scalar s;
    s.node = w.a;
    switch (w.kind) {
        case Wrapper::Oid: s.kind = a.type == Type::Null ? ScalarKind::Null : ScalarKind::Oid; return s;
        case Wrapper::Date: s.kind = a.type == Type::Null ? ScalarKind::Null : ScalarKind::Date; return s;
        case Wrapper::NumberInt:
        case Wrapper::NumberLong:
        case Wrapper::NumberDouble:
        case Wrapper::NumberDecimal:
            if (a.type == Type::Null) return s;
            if (a.type != Type::Number && a.type != Type::String) return composite;
            s.kind = ScalarKind::Number;
            s.text = TextOf(a);
            return s;
        case Wrapper::Binary:
            s.subtype = SubtypeOf(tape[w.b]);
            if (a.type != Type::String || s.subtype < 0) return composite;
            s.kind = ScalarKind::Binary;
            s.text = TextOf(a);
            return s;
        case Wrapper::Uuid:
            if (a.type != Type::String) return composite;
            s.kind = ScalarKind::Uuid;
            s.text = TextOf(a);
            return s;
        case Wrapper::Regex:
            if (a.type != Type::String || tape[w.b].type != Type::String) return composite;
            s.kind = ScalarKind::Regex;
            s.text = TextOf(a);
            s.options = TextOf(tape[w.b]);
            return s;
        case Wrapper::Timestamp: s.kind = ScalarKind::Timestamp; return s;
        case Wrapper::Undefined: s.kind = ScalarKind::Null; return s;
        case Wrapper::MinKey: s.kind = ScalarKind::MinKey; return s;
        case Wrapper::MaxKey: s.kind = ScalarKind::MaxKey; return s;
        case Wrapper::Symbol:
        case Wrapper::Code:
            if (a.type != Type::String) return composite;
            s.kind = ScalarKind::String;
            s.text = TextOf(a);
            return s;
        default: return composite;
    }
}

namespace {

bool AllDigits(std::string_view s) {
    while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
    while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
    if (!s.empty() && (s.front() == '-' || s.front() == '+')) s.remove_prefix(1);
    if (s.empty()) return false;
    for (const char c : s)
        if (c < '0' || c > '9') return false;
    return true;
}

Reason TimeFromNumber(std::string_view text, int64_t unit, int64_t* micros) {
    Decimal d;
    int64_t v;
    if (ParseSmallInteger(text, &v))
        return unit == 1 ? TimeFromMillis(v, micros) : TimeFromSeconds(v, micros);
    if (!ParseDecimal(text, true, &d)) return Reason::InvalidTime;
    switch (DecimalToInt(d, Rounding::Exact, INT64_MIN, INT64_MAX, &v)) {
        case ToInt::Ok: return unit == 1 ? TimeFromMillis(v, micros) : TimeFromSeconds(v, micros);
        case ToInt::HasFraction: return Reason::InvalidTime;
        default: return Reason::TimeRange;
    }
}

// A bare value, or what stands in $date.
Reason TimeOfPayload(const Scalar& s, int64_t unit, int64_t* micros, bool* null) {
    switch (s.kind) {
        case ScalarKind::Null: *null = true; return Reason::None;
        case ScalarKind::Number: return TimeFromNumber(s.text, unit, micros);
        case ScalarKind::String:
            return AllDigits(s.text) ? TimeFromNumber(s.text, unit, micros) : TimeFromText(s.text, micros);
        default: return Reason::InvalidTime;
    }
}

}  // namespace

Reason TimeOf(const Tape& tape, uint32_t node, int64_t unit, int64_t* micros, bool* null) {
    *null = false;
    const Scalar s = Unwrap(tape, node);
    switch (s.kind) {
        case ScalarKind::Date: return TimeOfPayload(Unwrap(tape, s.node), 1, micros, null);
        case ScalarKind::Timestamp: return TimeOfPayload(Unwrap(tape, s.node), 1000, micros, null);
        case ScalarKind::Oid: {
            int64_t seconds;
            if (tape[s.node].type != Type::String || !ParseObjectId(TextOf(tape[s.node]), &seconds))
                return Reason::InvalidObjectId;
            return TimeFromSeconds(seconds, micros);
        }
        case ScalarKind::MinKey: *micros = kTimeMinusInfinity; return Reason::None;
        case ScalarKind::MaxKey: *micros = kTimeInfinity; return Reason::None;
        case ScalarKind::Composite: {
            // A date that carries more than $date is still that date.
            const uint32_t date = tape[node].dollar ? Member(tape, node, "$date") : 0;
            return date != 0 ? TimeOfPayload(Unwrap(tape, date), 1, micros, null) : Reason::InvalidTime;
        }
        default: return TimeOfPayload(s, unit, micros, null);
    }
}

bool BinaryUuid(const Scalar& s, Bytes* out, size_t* at) {
    if (s.kind != ScalarKind::Binary || (s.subtype != 3 && s.subtype != 4)) return false;
    *at = out->size();
    if (!AppendBase64Decoded(s.text, out)) return false;
    if (out->size() - *at == 16) return true;
    out->Resize(*at);
    return false;
}

bool AppendScalarText(const Tape& tape, const Scalar& s, Bytes* out, bool* composite) {
    *composite = false;
    switch (s.kind) {
        case ScalarKind::Null: return true;
        case ScalarKind::Bool: out->Append(s.truth ? "true" : "false"); return true;
        case ScalarKind::Number: {
            Decimal d;
            Special special;
            if (ParseDecimal(s.text, true, &d)) {
                if (!FitsNumeric(d)) return false;
                AppendNumericText(d, out);
                return true;
            }
            if (!ParseSpecial(s.text, &special)) return false;
            out->Append(special == Special::NaN        ? "NaN"
                        : special == Special::Infinity ? "Infinity"
                                                       : "-Infinity");
            return true;
        }
        case ScalarKind::String:
        case ScalarKind::Binary:
        case ScalarKind::Uuid: out->Append(s.text); return true;
        case ScalarKind::Oid: {
            int64_t seconds;
            if (tape[s.node].type != Type::String || !ParseObjectId(TextOf(tape[s.node]), &seconds))
                return false;
            out->Append(TextOf(tape[s.node]));
            return true;
        }
        case ScalarKind::Date: {
            int64_t micros;
            bool null = false;
            if (TimeOfPayload(Unwrap(tape, s.node), 1, &micros, &null) != Reason::None) return false;
            if (null) return true;
            *composite = !AppendIsoUtc(micros, out);
            return true;
        }
        case ScalarKind::Regex:
            out->Append('/');
            out->Append(s.text);
            out->Append('/');
            out->Append(s.options);
            return true;
        case ScalarKind::Timestamp:
        case ScalarKind::Composite: *composite = true; return true;
        default: return false;
    }
}

}  // namespace vm
