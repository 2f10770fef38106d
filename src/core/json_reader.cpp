// Drives RapidJSON for exactness first and then for speed:
//  - numbers stay text, and "number too big" is no error: whether a number fits is for decimal.h to say;
//  - the stream is padded, so strings are scanned 16 bytes at a time without looking for an end;
//  - the scan happens in PutBegin, which the reader calls right after an opening quote;
//  - strings, numbers and what tells the values apart are specialized, see there.
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
    // Takes a string of nothing but plain characters, quotes and all; nullptr, with nothing taken, for any
    // other.
    char* TakePlain(size_t* len) {
        char* text = src_ + 1;
        char* end = FindSpecial(text);
        if (*end != '"') return nullptr;
        *end = '\0';
        src_ = end + 1;
        *len = static_cast<size_t>(end - text);
        return text;
    }
    // Takes a number by JSON's grammar; nullptr if there is none. *plain: it has no exponent.
    char* TakeNumber(size_t* len, bool* plain) {
        char* text = src_;
        const char* p = text;
        if (*p == '-') ++p;
        if (*p == '0') {
            ++p;
        } else if (!SkipDigits(&p)) {
            return nullptr;
        }
        if (*p == '.') {
            ++p;
            if (!SkipDigits(&p)) return nullptr;
        }
        *plain = (*p | 0x20) != 'e';
        if (!*plain) {
            ++p;
            if (*p == '+' || *p == '-') ++p;
            if (!SkipDigits(&p)) return nullptr;
        }
        *len = static_cast<size_t>(p - text);
        src_ += *len;
        return text;
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
constexpr size_t kAlwaysNumeric = 16384;  // fewer digits than this, without an exponent, fit numeric
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

// Writes the tape. A container that is open has its parent's index in the place of its count.
class Handler {
  public:
    Handler(PaddedStream* stream, const ReadLimits& limits, Tape* tape)
        : next_(tape->data()), stop_(next_), open_(next_), tape_(*tape), stream_(stream), limits_(limits) {}

    bool Null() { return Push(Type::Null, nullptr, 0); }
    bool Bool(bool b) { return Push(b ? Type::True : Type::False, nullptr, 0); }
    bool RawNumber(const char* end, vm_rapidjson::SizeType len, bool) {
        // By reference, the stream has moved past the number.
        return Number(const_cast<char*>(end) - len, len, false);
    }
    bool Number(char* text, size_t len, bool plain) {
        if ((!plain || len >= kAlwaysNumeric) && !NumberFitsNumeric({text, len}))
            return Stop(Reason::NotJson);
        return Push(Type::Number, text, static_cast<uint32_t>(len));
    }
    bool String(const char* text, vm_rapidjson::SizeType len, bool) {
        return Decoded(text, len) && PlainString(const_cast<char*>(text), len);
    }
    bool Key(const char* text, vm_rapidjson::SizeType len, bool) {
        return Decoded(text, len) && PlainKey(const_cast<char*>(text), len);
    }
    bool PlainString(char* text, size_t len) { return Text(Type::String, text, len); }
    bool PlainKey(char* text, size_t len) {
        if (*text == '$') open_->dollar = true;
        return Text(Type::Key, text, len);
    }
    bool StartObject() { return Open(Type::Object); }
    bool EndObject(vm_rapidjson::SizeType members) { return Close(members, kMaxMembers); }
    bool StartArray() { return Open(Type::Array); }
    bool EndArray(vm_rapidjson::SizeType elements) { return Close(elements, kMaxElements); }

    // With numbers kept as text the reader never calls these.
    bool Int(int) { return false; }
    bool Uint(unsigned) { return false; }
    bool Int64(int64_t) { return false; }
    bool Uint64(uint64_t) { return false; }
    bool Double(double) { return false; }

    Reason Finish() {
        tape_.SetSize(Index(next_));
        return reason_;
    }

  private:
    uint32_t Index(const Node* node) const { return static_cast<uint32_t>(node - tape_.data()); }

    bool Stop(Reason reason) {
        reason_ = reason;
        return false;
    }

    bool Push(Type type, char* text, uint32_t len) {
        if (__builtin_expect(next_ == stop_, 0) && !Pause()) return false;
        next_->text = text;
        next_->len = len;
        next_->type = type;
        next_->dollar = false;
        ++next_;
        return true;
    }

    // Every kPollEvery nodes at the latest, and when there is no room for another.
    [[gnu::noinline]] bool Pause() {
        const uint32_t i = Index(next_), open = Index(open_);
        if (limits_.cancel != nullptr && *limits_.cancel) return Stop(Reason::Cancelled);
        if (i >= kMaxNodes) return Stop(Reason::TooLarge);
        tape_.SetSize(i);
        if (i == tape_.capacity()) tape_.Grow();
        next_ = tape_.data() + i;
        open_ = tape_.data() + open;
        const uint32_t room = tape_.capacity() - i;
        stop_ = next_ + (room < kPollEvery ? room : kPollEvery);
        return true;
    }

    bool Text(Type type, char* text, size_t len) {
        if (len > kJsonbMaxBytes) return Stop(Reason::TooLarge);
        return Push(type, text, static_cast<uint32_t>(len));
    }

    bool Decoded(const char* text, size_t len) {
        if (len <= kJsonbMaxBytes && stream_->escaped() && !DecodedText(text, len, limits_.utf8))
            return Stop(Reason::NotJson);
        return true;
    }

    bool Open(Type type) {
        if (depth_ >= kMaxRecursion && !limits_.judged) return Stop(Reason::NeedsServer);
        if (!Push(type, nullptr, 0)) return false;
        Node* node = next_ - 1;
        node->count = Index(open_);
        open_ = node;
        ++depth_;
        return true;
    }

    bool Close(uint32_t count, uint32_t most) {
        if (count > most) return Stop(Reason::TooLarge);
        Node* node = open_;
        open_ = tape_.data() + node->count;
        node->count = count;
        node->len = Index(next_);
        --depth_;
        return true;
    }

    Node* next_;  // where the next node goes
    Node* stop_;  // pause before it goes here
    Node* open_;  // the innermost open container
    Tape& tape_;
    size_t depth_ = 0;  // open containers
    PaddedStream* stream_;
    const ReadLimits& limits_;
    Reason reason_ = Reason::None;
};

using vm_rapidjson::UTF8;
using Reader = vm_rapidjson::GenericReader<UTF8<>, UTF8<>, ThrowingAllocator>;

constexpr unsigned kFlags = vm_rapidjson::kParseInsituFlag | vm_rapidjson::kParseNumbersAsStringsFlag;
// The same to RapidJSON, as numbers stay text; to us the name of what strings with escapes take.
constexpr unsigned kEscapedFlags = kFlags | vm_rapidjson::kParseFullPrecisionFlag;

}  // namespace

}  // namespace vm

namespace vm_rapidjson {

// Two thirds of a document are strings and numbers. For the reader's usual way these two take the place of
// what it would instantiate: the same grammar, without per-character work for strings that hold no escape,
// and without adding up the value of a number that is wanted as text.

template <>
template <>
[[gnu::noinline]] inline void vm::Reader::ParseString<vm::kEscapedFlags, vm::PaddedStream, vm::Handler>(
    vm::PaddedStream& stream, vm::Handler& handler, bool is_key) {
    stream.Take();
    char* text = stream.PutBegin();
    ParseStringToStream<vm::kEscapedFlags, UTF8<>, UTF8<>>(stream, stream);
    if (HasParseError()) return;
    const SizeType len = static_cast<SizeType>(stream.PutEnd(text) - 1);
    if (!(is_key ? handler.Key(text, len, false) : handler.String(text, len, false)))
        SetParseError(kParseErrorTermination, stream.Tell());
}

template <>
template <>
[[gnu::always_inline]] inline void vm::Reader::ParseString<vm::kFlags, vm::PaddedStream, vm::Handler>(
    vm::PaddedStream& stream, vm::Handler& handler, bool is_key) {
    size_t len;
    char* text = stream.TakePlain(&len);
    if (__builtin_expect(text == nullptr, 0)) return ParseString<vm::kEscapedFlags>(stream, handler, is_key);
    if (!(is_key ? handler.PlainKey(text, len) : handler.PlainString(text, len)))
        SetParseError(kParseErrorTermination, stream.Tell());
}

template <>
template <>
inline void vm::Reader::ParseNumber<vm::kFlags, vm::PaddedStream, vm::Handler>(vm::PaddedStream& stream,
                                                                               vm::Handler& handler) {
    size_t len;
    bool plain;
    char* text = stream.TakeNumber(&len, &plain);
    if (text == nullptr) return SetParseError(kParseErrorValueInvalid, stream.Tell());
    if (!handler.Number(text, len, plain)) SetParseError(kParseErrorTermination, stream.Tell());
}

// RapidJSON's own, but inlined into what parses members and elements: only containers cost a call.
template <>
template <>
[[gnu::always_inline]] inline void vm::Reader::ParseValue<vm::kFlags, vm::PaddedStream, vm::Handler>(
    vm::PaddedStream& stream, vm::Handler& handler) {
    switch (stream.Peek()) {
        case '"': return ParseString<vm::kFlags>(stream, handler, false);
        case '{': return ParseObject<vm::kFlags>(stream, handler);
        case '[': return ParseArray<vm::kFlags>(stream, handler);
        case 'n': return ParseNull<vm::kFlags>(stream, handler);
        case 't': return ParseTrue<vm::kFlags>(stream, handler);
        case 'f': return ParseFalse<vm::kFlags>(stream, handler);
        default: return ParseNumber<vm::kFlags>(stream, handler);
    }
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
    const Reason reason = handler.Finish();
    if (reason != Reason::None) return reason;
    if (reader.HasParseError() || stream.Tell() != len) return Reason::NotJson;
    if (large != nullptr) *large = len + kBytesPerNode * tape->size() > kJsonbMaxBytes;
    return Reason::None;
}

}  // namespace vm
