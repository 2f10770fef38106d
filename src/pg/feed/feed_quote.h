// Names as texts of other programs: whatever stands in them stays data.
#pragma once

#include "pg/server/compat.h"

extern "C" {
#include <lib/stringinfo.h>
}

// One word of a shell.
void AppendShellWord(StringInfo out, const char* text);

// For a comment of one line: control characters as ?.
void AppendComment(StringInfo out, const char* text);

// A name for DMS, where % _ [ in a name are wildcards.
char* DmsPattern(const char* name);

// key=value and a newline, as java.util.Properties reads it.
void AppendProperty(StringInfo out, const char* key, const char* value);

// A regular expression of Java's that matches the text and no other, without a comma.
void AppendJavaPattern(StringInfo out, const char* text);

// As part of a URL.
char* UrlPart(const char* text);

// As part of a Kafka topic: as Debezium does it, one _ for each character that may not stand there. `dots`:
// whether a dot stays. *changed, if wanted, becomes true if it is another text now.
char* TopicPart(const char* text, bool dots, bool* changed);
