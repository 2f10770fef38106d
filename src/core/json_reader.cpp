// Drives RapidJSON for exactness first and then for speed:
//  - numbers stay text, and "number too big" is no error: whether a number fits is for decimal.h to say;
//  - the stream is padded, so strings are scanned 16 bytes at a time without looking for an end;
//  - the scan happens in PutBegin, which the reader calls right after an opening quote;
//  - strings and numbers are specialized, see there.
// Compiled with -fwrapv: past an ignored "too big" RapidJSON's own arithmetic, unused here, wraps.
#include "core/json_reader.h"

#include <cstdlib>
#include <new>
#include <vector>

#include "core/decimal.h"

#define RAPIDJSON_NAMESPACE vm_rapidjson
#define RAPIDJSON_NAMESPACE_BEGIN namespace vm_rapidjson {
#define RAPIDJSON_NAMESPACE_END }
#define RAPIDJSON_PARSE_ERROR(code, offset)               \
    do {                                                  \
        if ((code) != kParseErrorNumberTooBig) {          \
            RAPIDJSON_PARSE_ERROR_NORETURN(code, offset); \
            RAPIDJSON_PARSE_ERROR_EARLY_RETURN_VOID;      \
        }                                                 \
    } while (0)
#include <rapidjson/reader.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace vm {

namespace {

// First quote, backslash or control character at or after p. The zero padding ends every scan.
inline char* FindSpecial(char* p) {
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1F);
    for (;; p += 16) {
        const __m128i s = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
        const __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(s, quote), _mm_cmpeq_epi8(s, slash)),
                                         _mm_cmpeq_epi8(_mm_min_epu8(s, control), s));
        const int mask = _mm_movemask_epi8(hit);
        if (mask != 0) return p + __builtin_ctz(static_cast<unsigned>(mask));
    }
#else
    while (*p != '"' && *p != '\\' && static_cast<unsigned char>(*p) >= 0x20) ++p;
    return p;
#endif
}

// Copies plain characters down from *from to *to, which stands before it, up to the first special one.
inline void CopyPlain(char** from, char** to) {
    char* special = FindSpecial(*from);
    const size_t n = static_cast<size_t>(special - *from);
    std::memmove(*to, *from, n);
    *from = special;
    *to += n;
}

// RapidJSON's Stream concept over a padded, writable buffer.
class PaddedStream {
  public:
    typedef char Ch;
    explicit PaddedStream(char* text) : src_(text), dst_(text), head_(text) {}

    char Peek() const { return *src_; }
    char Take() { return *src_++; }
    size_t Tell() const { return static_cast<size_t>(src_ - head_); }
    // After an escape the rest of the string has to move down. It does so a run at a time, behind any
    // character of one byte: of several bytes the reader may still put the others, and NUL is the string's
    // end.
    void Put(char c) {
        *dst_++ = c;
        if (c > 0) CopyPlain(&src_, &dst_);
    }
    // ParseNumber calls this too, after the number; there is no quote before that.
    char* PutBegin() {
        char* begin = dst_ = src_;
        if (src_[-1] == '"') {
            dst_ = src_ = FindSpecial(src_);
            escaped_ = *src_ != '"';
        }
        return begin;
    }
    size_t PutEnd(char* begin) { return static_cast<size_t>(dst_ - begin); }
    // A string without escapes, up to its closing quote: its length.
    size_t EndPlain(const char* begin) {
        const size_t len = static_cast<size_t>(src_ - begin);
        *src_++ = '\0';
        return len;
    }
    // Takes a number by JSON's grammar: its length, 0 if there is none.
    size_t SkipNumber() {
        const char* p = src_;
        if (*p == '-') ++p;
        if (*p == '0') {
            ++p;
        } else if (!SkipDigits(&p)) {
            return 0;
        }
        if (*p == '.') {
            ++p;
            if (!SkipDigits(&p)) return 0;
        }
        if ((*p | 0x20) == 'e') {
            ++p;
            if (*p == '+' || *p == '-') ++p;
            if (!SkipDigits(&p)) return 0;
        }
        const size_t len = static_cast<size_t>(p - src_);
        src_ += len;
        return len;
    }
    void Flush() {}

    bool escaped() const { return escaped_; }  // the last string held something but plain characters
    void SkipBlanks() {
        while (static_cast<unsigned char>(*src_) <= ' ' &&
               (*src_ == ' ' || *src_ == '\n' || *src_ == '\r' || *src_ == '\t'))
            ++src_;
    }

  private:
    static bool SkipDigits(const char** p) {
        const char* start = *p;
        while (static_cast<unsigned>(**p - '0') < 10) ++*p;
        return *p != start;
    }

    char* src_;
    char* dst_;
    char* head_;
    bool escaped_ = false;
};

}  // namespace

}  // namespace vm

namespace vm_rapidjson {

template <>
struct StreamTraits<vm::PaddedStream> {
    enum { copyOptimization = 0 };  // work on the one stream, not on copies of it
};

template <>
inline void SkipWhitespace(vm::PaddedStream& stream) {
    stream.SkipBlanks();
}

}  // namespace vm_rapidjson

namespace vm {

namespace {

constexpr uint32_t kJsonbMaxBytes = 0x0FFFFFFF;  // JENTRY_OFFLENMASK
constexpr uint64_t kBytesPerNode = 12;           // the most a node takes in jsonb beyond its text
constexpr uint32_t kMaxNodes = 1u << 27;         // more can't fit in jsonb
// jsonb_in doubles an array of 32 bytes an element, of 72 a member, until palloc's limit of 1 GB.
constexpr uint32_t kMaxElements = 1u << 24;
constexpr uint32_t kMaxMembers = 1u << 23;
constexpr uint32_t kPollEvery = 1u << 12;
constexpr size_t kMaxRecursion = 2000;  // the recursive parser is faster, but lives on the stack

// RapidJSON does not look at what malloc returns.
struct ThrowingAllocator {
    void* Malloc(size_t size) {
        if (size == 0) return nullptr;
        if (void* p = std::malloc(size)) return p;
        throw std::bad_alloc();
    }
    void* Realloc(void* p, size_t, size_t size) {
        if (size == 0) {
            std::free(p);
            return nullptr;
        }
        if (void* bigger = std::realloc(p, size)) return bigger;
        throw std::bad_alloc();
    }
    static void Free(void* p) { std::free(p); }
};

// Strings whose escapes decode to NUL or to half a surrogate pair are not text.
bool DecodedText(const char* text, size_t len, bool utf8) {
    if (std::memchr(text, '\0', len) != nullptr) return false;
    if (!utf8) return true;
    const char* p = text;
    const char* end = text + len;
    while ((p = static_cast<const char*>(std::memchr(p, 0xED, static_cast<size_t>(end - p)))) != nullptr) {
        if (end - p > 1 && static_cast<unsigned char>(p[1]) >= 0xA0) return false;
        ++p;
    }
    return true;
}

class Handler {
  public:
    Handler(PaddedStream* stream, const ReadLimits& limits, Tape* tape)
        : stream_(stream), limits_(limits), tape_(*tape), open_(tape->open) {
        open_.clear();
    }

    bool Null() { return Push(Type::Null, nullptr, 0); }
    bool Bool(bool b) { return Push(b ? Type::True : Type::False, nullptr, 0); }
    bool RawNumber(const char* end, vm_rapidjson::SizeType len, bool) {
        char* text = const_cast<char*>(end) - len;  // by reference, the stream has moved past the number
        if (!NumberFitsNumeric({text, len})) return Stop(Reason::NotJson);
        return Push(Type::Number, text, len);
    }
    bool String(const char* text, vm_rapidjson::SizeType len, bool) {
        return Text(Type::String, const_cast<char*>(text), len);
    }
    bool Key(const char* text, vm_rapidjson::SizeType len, bool) {
        if (*text == '$') tape_[open_.back()].dollar = true;
        return Text(Type::Key, const_cast<char*>(text), len);
    }
    bool StartObject() { return Open(Type::Object); }
    bool EndObject(vm_rapidjson::SizeType members) { return Close(members); }
    bool StartArray() { return Open(Type::Array); }
    bool EndArray(vm_rapidjson::SizeType elements) { return Close(elements); }

    // With numbers kept as text the reader never calls these.
    bool Int(int) { return false; }
    bool Uint(unsigned) { return false; }
    bool Int64(int64_t) { return false; }
    bool Uint64(uint64_t) { return false; }
    bool Double(double) { return false; }

    Reason reason() const { return reason_; }

  private:
    bool Stop(Reason reason) {
        reason_ = reason;
        return false;
    }

    bool Push(Type type, char* text, uint32_t len) {
        const uint32_t i = tape_.Push(type, text, len);
        if ((i & (kPollEvery - 1)) == 0) {
            if (limits_.cancel != nullptr && *limits_.cancel) return Stop(Reason::Cancelled);
            if (i >= kMaxNodes) return Stop(Reason::TooLarge);
        }
        return true;
    }

    bool Text(Type type, char* text, uint32_t len) {
        if (len > kJsonbMaxBytes) return Stop(Reason::TooLarge);
        if (stream_->escaped() && !DecodedText(text, len, limits_.utf8)) return Stop(Reason::NotJson);
        return Push(type, text, len);
    }

    bool Open(Type type) {
        if (open_.size() >= kMaxRecursion && !limits_.judged) return Stop(Reason::NeedsServer);
        open_.push_back(tape_.size());
        return Push(type, nullptr, 0);
    }

    bool Close(uint32_t count) {
        Node& n = tape_[open_.back()];
        if (count > (n.type == Type::Array ? kMaxElements : kMaxMembers)) return Stop(Reason::TooLarge);
        n.count = count;
        n.len = tape_.size();
        open_.pop_back();
        return true;
    }

    PaddedStream* stream_;
    const ReadLimits& limits_;
    Tape& tape_;
    std::vector<uint32_t>& open_;
    Reason reason_ = Reason::None;
};

using vm_rapidjson::UTF8;
using Reader = vm_rapidjson::GenericReader<UTF8<>, UTF8<>, ThrowingAllocator>;

constexpr unsigned kFlags = vm_rapidjson::kParseInsituFlag | vm_rapidjson::kParseNumbersAsStringsFlag;

}  // namespace

}  // namespace vm

namespace vm_rapidjson {

// Two thirds of a document are strings and numbers. For the reader's usual way these two take the place of
// what it would instantiate: the same grammar, without per-character work for strings that hold no escape,
// and without adding up the value of a number that is wanted as text.

template <>
template <>
inline void vm::Reader::ParseString<vm::kFlags, vm::PaddedStream, vm::Handler>(vm::PaddedStream& stream,
                                                                               vm::Handler& handler,
                                                                               bool is_key) {
    stream.Take();
    char* text = stream.PutBegin();
    size_t len;
    if (stream.Peek() == '"') {
        len = stream.EndPlain(text);
    } else {
        ParseStringToStream<vm::kFlags, UTF8<>, UTF8<>>(stream, stream);
        if (HasParseError()) return;
        len = stream.PutEnd(text) - 1;
    }
    const SizeType size = static_cast<SizeType>(len);
    if (!(is_key ? handler.Key(text, size, false) : handler.String(text, size, false)))
        SetParseError(kParseErrorTermination, stream.Tell());
}

template <>
template <>
inline void vm::Reader::ParseNumber<vm::kFlags, vm::PaddedStream, vm::Handler>(vm::PaddedStream& stream,
                                                                               vm::Handler& handler) {
    const size_t len = stream.SkipNumber();
    if (len == 0) return SetParseError(kParseErrorValueInvalid, stream.Tell());
    if (!handler.RawNumber(stream.PutBegin(), static_cast<SizeType>(len), false))
        SetParseError(kParseErrorTermination, stream.Tell());
}

}  // namespace vm_rapidjson

namespace vm {

Reason ReadJson(char* text, size_t len, const ReadLimits& limits, Tape* tape, bool* large) {
    tape->Clear();
    PaddedStream stream(text);
    Handler handler(&stream, limits, tape);
    Reader reader;
    if (limits.judged)
        reader.Parse<kFlags | vm_rapidjson::kParseIterativeFlag>(stream, handler);
    else
        reader.Parse<kFlags>(stream, handler);
    if (handler.reason() != Reason::None) return handler.reason();
    if (reader.HasParseError() || stream.Tell() != len) return Reason::NotJson;
    if (large != nullptr) *large = len + kBytesPerNode * tape->size() > kJsonbMaxBytes;
    return Reason::None;
}

}  // namespace vm
