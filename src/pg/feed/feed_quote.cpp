#include "pg/feed/feed_quote.h"

static bool IsAlnum(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void AppendShellWord(StringInfo out, const char* text) {
    bool plain = text[0] != '\0';
    for (const char* p = text; *p && plain; p++) plain = IsAlnum(*p) || strchr("._/-", *p) != NULL;
    if (plain) {
        appendStringInfoString(out, text);
        return;
    }
    appendStringInfoChar(out, '\'');
    for (const char* p = text; *p; p++) {
        if (*p == '\'')
            appendStringInfoString(out, "'\\''");
        else
            appendStringInfoChar(out, *p);
    }
    appendStringInfoChar(out, '\'');
}

void AppendComment(StringInfo out, const char* text) {
    for (const char* p = text; *p; p++)
        appendStringInfoChar(out, (unsigned char)*p < ' ' || *p == '\x7F' ? '?' : *p);
}

char* DmsPattern(const char* name) {
    StringInfoData out;
    initStringInfo(&out);
    for (const char* p = name; *p; p++) {
        if (strchr("%_[", *p) != NULL)
            appendStringInfo(&out, "[%c]", *p);
        else
            appendStringInfoChar(&out, *p);
    }
    return out.data;
}

static char* Utf8(const char* text) {
    return pg_server_to_any(text, (int)strlen(text), PG_UTF8);
}

// \uXXXX, twice for what UTF-16 has two of.
static void AppendUtf16(StringInfo out, pg_wchar c) {
    if (c < 0x10000) {
        appendStringInfo(out, "\\u%04X", c);
        return;
    }
    c -= 0x10000;
    appendStringInfo(out, "\\u%04X\\u%04X", 0xD800 + (c >> 10), 0xDC00 + (c & 0x3FF));
}

void AppendProperty(StringInfo out, const char* key, const char* value) {
    appendStringInfo(out, "%s=", key);
    const char* utf8 = Utf8(value);
    for (const char* p = utf8; *p;) {
        if (IS_HIGHBIT_SET(*p)) {
            AppendUtf16(out, utf8_to_unicode((const unsigned char*)p));
            p += pg_utf_mblen((const unsigned char*)p);
            continue;
        }
        if (*p == '\\' || (*p == ' ' && p == utf8))
            appendStringInfo(out, "\\%c", *p);
        else if ((unsigned char)*p < ' ' || *p == '\x7F')
            AppendUtf16(out, (pg_wchar)*p);
        else
            appendStringInfoChar(out, *p);
        p++;
    }
    appendStringInfoChar(out, '\n');
}

void AppendJavaPattern(StringInfo out, const char* text) {
    for (const char* p = text; *p; p++) {
        if (IS_HIGHBIT_SET(*p) || IsAlnum(*p) || *p == '_' || *p == '-')
            appendStringInfoChar(out, *p);
        else if ((unsigned char)*p <= ' ' || *p == ',' || *p == '\x7F')
            appendStringInfo(out, "\\x%02X", *p);
        else
            appendStringInfo(out, "\\%c", *p);
    }
}

char* UrlPart(const char* text) {
    StringInfoData out;
    initStringInfo(&out);
    for (const char* p = Utf8(text); *p; p++) {
        if (IsAlnum(*p) || strchr("-._~", *p) != NULL)
            appendStringInfoChar(&out, *p);
        else
            appendStringInfo(&out, "%%%02X", (unsigned char)*p);
    }
    return out.data;
}

char* TopicPart(const char* text, bool dots, bool* changed) {
    StringInfoData out;
    initStringInfo(&out);
    for (const char* p = Utf8(text); *p; p += pg_utf_mblen((const unsigned char*)p)) {
        bool stays = IsAlnum(*p) || *p == '_' || *p == '-' || (dots && *p == '.');
        // A character outside the first plane is two to Java.
        appendStringInfoChar(&out, stays ? *p : '_');
        if (!stays && (unsigned char)*p >= 0xF0) appendStringInfoChar(&out, '_');
        if (!stays && changed != NULL) *changed = true;
    }
    return out.data;
}
