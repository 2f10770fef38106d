// What the server's jsonb_in accepts, written down once more without RapidJSON: RFC 8259, no U+0000, whole
// surrogate pairs, numbers that numeric can hold. The text must be UTF-8 without NUL bytes.
#pragma once

#include <cstdint>
#include <string_view>

#include "core/decimal.h"

namespace vm_test {

inline bool ValidUtf8(std::string_view s) {
    for (size_t i = 0; i < s.size();) {
        const auto byte = [&](size_t k) {
            return i + k < s.size() ? static_cast<unsigned char>(s[i + k]) : 0u;
        };
        const unsigned c = byte(0);
        const size_t n = c < 0x80                ? 1
                         : c >= 0xC2 && c < 0xE0 ? 2
                         : (c & 0xF0) == 0xE0    ? 3
                         : c >= 0xF0 && c < 0xF5 ? 4
                                                 : 0;
        if (n == 0) return false;
        for (size_t k = 1; k < n; ++k)
            if ((byte(k) & 0xC0) != 0x80) return false;
        if ((c == 0xE0 && byte(1) < 0xA0) || (c == 0xED && byte(1) >= 0xA0) ||
            (c == 0xF0 && byte(1) < 0x90) || (c == 0xF4 && byte(1) >= 0x90))
            return false;
        i += n;
    }
    return true;
}

class JsonGrammar {
  public:
    enum class Verdict { Accepted, Refused, TooDeep };

    static Verdict Judge(std::string_view text, int most_levels) {
        JsonGrammar g{text, most_levels};
        const bool good = g.Value(0) && (g.Blanks(), g.at_ == text.size());
        return g.too_deep_ ? Verdict::TooDeep : good ? Verdict::Accepted : Verdict::Refused;
    }

  private:
    JsonGrammar(std::string_view text, int most_levels) : text_(text), most_(most_levels) {}

    char Peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
    bool Take(char c) {
        if (Peek() != c) return false;
        ++at_;
        return true;
    }
    void Blanks() {
        while (Peek() == ' ' || Peek() == '\t' || Peek() == '\n' || Peek() == '\r') ++at_;
    }
    bool Word(std::string_view word) {
        if (text_.substr(at_, word.size()) != word) return false;
        at_ += word.size();
        return true;
    }
    bool Digits() {
        const size_t from = at_;
        while (Peek() >= '0' && Peek() <= '9') ++at_;
        return at_ > from;
    }

    bool Number() {
        const size_t from = at_;
        Take('-');
        if (!Take('0') && !Digits()) return false;
        if (Take('.') && !Digits()) return false;
        if (Take('e') || Take('E')) {
            if (!Take('+')) Take('-');
            if (!Digits()) return false;
        }
        vm::Decimal d;
        return vm::ParseDecimal(text_.substr(from, at_ - from), false, &d) && vm::FitsNumeric(d);
    }

    bool Hex(unsigned* unit) {
        *unit = 0;
        for (int i = 0; i < 4; ++i) {
            const char c = Peek();
            const int digit = c >= '0' && c <= '9'   ? c - '0'
                              : c >= 'a' && c <= 'f' ? c - 'a' + 10
                              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                     : -1;
            if (digit < 0) return false;
            *unit = *unit * 16 + static_cast<unsigned>(digit);
            ++at_;
        }
        return true;
    }

    bool String() {
        if (!Take('"')) return false;
        for (;;) {
            if (at_ == text_.size() || static_cast<unsigned char>(Peek()) < 0x20) return false;
            const char c = text_[at_++];
            if (c == '"') return true;
            if (c != '\\') continue;
            if (Take('u')) {
                unsigned unit, low;
                if (!Hex(&unit) || unit == 0 || (unit >= 0xDC00 && unit <= 0xDFFF)) return false;
                if (unit >= 0xD800 && unit <= 0xDBFF &&
                    !(Take('\\') && Take('u') && Hex(&low) && low >= 0xDC00 && low <= 0xDFFF))
                    return false;
            } else if (at_ == text_.size() ||
                       std::string_view("\"\\/bfnrt").find(text_[at_++]) == std::string_view::npos) {
                return false;
            }
        }
    }

    bool Value(int level) {
        Blanks();
        const char c = Peek();
        if (c == '{' || c == '[') {
            if (level >= most_) {
                too_deep_ = true;
                return false;
            }
            const char end = c == '{' ? '}' : ']';
            ++at_;
            Blanks();
            if (Take(end)) return true;
            for (;;) {
                Blanks();
                if (c == '{' && !(String() && (Blanks(), Take(':')))) return false;
                if (!Value(level + 1)) return false;
                Blanks();
                if (Take(end)) return true;
                if (!Take(',')) return false;
            }
        }
        if (c == '"') return String();
        if (c == 't') return Word("true");
        if (c == 'f') return Word("false");
        if (c == 'n') return Word("null");
        return Number();
    }

    std::string_view text_;
    int most_;
    size_t at_ = 0;
    bool too_deep_ = false;
};

}  // namespace vm_test
