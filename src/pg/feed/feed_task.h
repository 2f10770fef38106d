// vm_feed_task: what a feed has to be told, as text. Each printer takes the children in order and returns the
// text in the current context.
#pragma once

#include "pg/server/compat.h"

// A child that a feed writes to, and the collection it gets its documents from.
struct FeedChild {
    char* tenant;
    char* project;
    char* entity;
    char* database;    // of the source
    char* collection;  // of the source
    char* schema;
    char* name;
};

// What was asked for; NULL: all.
struct FeedScope {
    const char* tenant;
    const char* project;
    const char* entity;
};

// Table mappings of AWS DMS. Errors: a collection DMS cannot read, one database for two schemas (0A000),
// more than DMS takes (54000).
char* DmsMappings(List* children);
// Task settings, source endpoint and target endpoint of AWS DMS: the same for all children.
char* DmsSettings(void);
char* DmsSource(void);
char* DmsTarget(void);

// Debezium's source connector for all children, and a JDBC sink for each. Errors: two collections become one
// topic (22023), a name the sink cannot be told (0A000).
char* DebeziumProperties(List* children, FeedScope scope);

// A shell script around mongoexport and psql.
char* ExportScript(List* children);
