// Properties of Debezium's connectors. The JDBC sink cannot read an event of the MongoDB source, whose
// document is one JSON text: transformations of Kafka Connect's own make a row (_id, _doc) of it, and leave
// of a deletion the tombstone, which the sink deletes by.
#include "pg/server/compat.h"
#include "pg/feed/feed_quote.h"
#include "pg/feed/feed_task.h"
#include "pg/server/tables.h"

extern "C" {
#include <commands/dbcommands.h>
#include <common/md5.h>
#include <utils/hsearch.h>
}

static constexpr int kMostTopic = 249;  // bytes, Kafka's limit

static const char kTransforms[] =
    // Only what has this header passes: tombstones, and events with a document.
    "transforms=tombstone,document,present,pass,type,row,key\n"
    "transforms.tombstone.type=org.apache.kafka.connect.transforms.InsertHeader\n"
    "transforms.tombstone.header=vm\n"
    "transforms.tombstone.literal.value=tombstone\n"
    "transforms.tombstone.predicate=empty\n"
    "transforms.document.type=org.apache.kafka.connect.transforms.ExtractField$Value\n"
    "transforms.document.field=after\n"
    "transforms.present.type=org.apache.kafka.connect.transforms.InsertHeader\n"
    "transforms.present.header=vm\n"
    "transforms.present.literal.value=document\n"
    "transforms.present.predicate=empty\n"
    "transforms.present.negate=true\n"
    "transforms.pass.type=org.apache.kafka.connect.transforms.Filter\n"
    "transforms.pass.predicate=marked\n"
    "transforms.pass.negate=true\n"
    "transforms.type.type=org.apache.kafka.connect.transforms.SetSchemaMetadata$Value\n"
    "transforms.type.schema.name=vm.document\n"
    "transforms.type.predicate=empty\n"
    "transforms.type.negate=true\n"
    "transforms.row.type=org.apache.kafka.connect.transforms.HoistField$Value\n"
    "transforms.row.field=_doc\n"
    "transforms.row.predicate=empty\n"
    "transforms.row.negate=true\n"
    "transforms.key.type=org.apache.kafka.connect.transforms.ReplaceField$Key\n"
    "transforms.key.renames=id:_id\n"
    "predicates=empty,marked\n"
    "predicates.empty.type=org.apache.kafka.connect.transforms.predicates.RecordIsTombstone\n"
    "predicates.marked.type=org.apache.kafka.connect.transforms.predicates.HasHeaderKey\n"
    "predicates.marked.name=vm\n";

static const char kConverters[] =
    "key.converter=org.apache.kafka.connect.json.JsonConverter\n"
    "key.converter.schemas.enable=true\n"
    "value.converter=org.apache.kafka.connect.json.JsonConverter\n"
    "value.converter.schemas.enable=true\n";

static char* ShortHash(const char* text) {
    char hex[33];
    const char* error = NULL;
    if (!pg_md5_hash(text, strlen(text), hex, &error)) elog(ERROR, "could not hash a name: %s", error);
    return pnstrdup(hex, 8);
}

// A prefix of topics of its own for each scope, in characters that Kafka takes.
static char* Prefix(FeedScope scope) {
    const char* parts[] = {scope.tenant, scope.project, scope.entity};
    int count = scope.entity ? 3 : scope.project ? 2 : scope.tenant ? 1 : 0;
    char* prefix = pstrdup("vm");
    char* original = pstrdup("vm");
    bool changed = false;
    for (int i = 0; i < count; i++) {
        const char* part = parts[i];
        changed |= part != NULL && strcmp(part, "all") == 0;
        prefix = psprintf("%s.%s", prefix, part ? TopicPart(part, false, &changed) : "all");
        original = psprintf("%s.%s", original, part ? quote_literal_cstr(part) : "");
    }
    if (changed) prefix = psprintf("%s.%s", prefix, ShortHash(original));
    constexpr int kMost = 100;
    if (strlen(prefix) <= kMost) return prefix;
    return psprintf("%.*s.%s", kMost - 9, prefix, ShortHash(original));
}

static char* TopicOf(const char* prefix, const FeedChild* child) {
    char* topic = psprintf("%s.%s.%s", prefix, TopicPart(child->database, true, NULL),
                           TopicPart(child->collection, true, NULL));
    if (strlen(topic) > kMostTopic) topic[kMostTopic] = '\0';  // as Debezium does
    return topic;
}

struct Topic {
    char name[kMostTopic + 1];
    const FeedChild* child;
};

static void CheckTopic(HTAB* topics, const char* name, const FeedChild* child) {
    bool found;
    Topic* topic = (Topic*)hash_search(topics, name, HASH_ENTER, &found);
    if (!found) {
        topic->child = child;
        return;
    }
    ereport(
        ERROR,
        (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
         errmsg("collections \"%s\" and \"%s\" would share the topic %s", topic->child->collection,
                child->collection, name),
         errdetail("In a topic's name Debezium puts _ for every character that Kafka does not take, and cuts "
                   "it after %d.",
                   kMostTopic),
         errhint("Print the feeds of the two projects by calls of their own.")));
}

static void CheckTable(const FeedChild* child) {
    const char* names[] = {child->schema, child->name};
    for (const char* name : names)
        if (strstr(name, "${") != NULL || strstr(name, "''") != NULL || strstr(name, "``") != NULL ||
            strchr(name, '\\') != NULL)
            ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                            errmsg("Debezium's JDBC sink cannot be told the name of child %s",
                                   quote_qualified_identifier(child->schema, child->name)),
                            errdetail("It reads ${, '', `` and a backslash in a name as something else."),
                            errhint("Give the child another name.")));
}

// An identifier in quotes, whether it needs them or not.
static char* Quoted(const char* name) {
    StringInfoData out;
    initStringInfo(&out);
    appendStringInfoChar(&out, '"');
    for (const char* p = name; *p; p++) {
        if (*p == '"') appendStringInfoChar(&out, '"');
        appendStringInfoChar(&out, *p);
    }
    appendStringInfoChar(&out, '"');
    return out.data;
}

static void AppendSource(StringInfo out, const char* prefix, List* children) {
    StringInfoData collections;
    ListCell* cell;
    initStringInfo(&collections);
    foreach (cell, children) {
        const FeedChild* child = (const FeedChild*)lfirst(cell);
        if (collections.len > 0) appendStringInfoChar(&collections, ',');
        AppendJavaPattern(&collections, child->database);
        appendStringInfoString(&collections, "\\.");
        AppendJavaPattern(&collections, child->collection);
    }
    appendStringInfo(out, "# file: %s-source.properties\n", prefix);
    AppendProperty(out, "name", psprintf("%s-source", prefix));
    AppendProperty(out, "connector.class", "io.debezium.connector.mongodb.MongoDbConnector");
    AppendProperty(out, "mongodb.connection.string", "mongodb://localhost:27017/?replicaSet=rs0");
    AppendProperty(out, "topic.prefix", prefix);
    AppendProperty(out, "collection.include.list", collections.data);
    AppendProperty(out, "capture.mode", "change_streams_update_full");
    AppendProperty(out, "snapshot.mode", "initial");
    AppendProperty(out, "tombstones.on.delete", "true");
    appendStringInfoString(out, kConverters);
}

static void AppendSink(StringInfo out, const char* topic, const FeedChild* child) {
    appendStringInfo(out, "\n# file: %s-sink.properties\n", topic);
    AppendProperty(out, "name", psprintf("%s-sink", topic));
    AppendProperty(out, "connector.class", "io.debezium.connector.jdbc.JdbcSinkConnector");
    AppendProperty(out, "topics", topic);
    AppendProperty(out, "connection.url",
                   psprintf("jdbc:postgresql://localhost:5432/%s", UrlPart(get_database_name(MyDatabaseId))));
    AppendProperty(out, "collection.name.format",
                   psprintf("%s.%s", Quoted(child->schema), Quoted(child->name)));
    AppendProperty(out, "quote.identifiers", "true");
    AppendProperty(out, "insert.mode", "upsert");
    AppendProperty(out, "delete.enabled", "true");
    AppendProperty(out, "primary.key.mode", "record_key");
    AppendProperty(out, "primary.key.fields", "_id");
    AppendProperty(out, "schema.evolution", "none");
    appendStringInfoString(out, kConverters);
    appendStringInfoString(out, kTransforms);
}

char* DebeziumProperties(List* children, FeedScope scope) {
    HASHCTL control = {};
    control.keysize = kMostTopic + 1;
    control.entrysize = sizeof(Topic);
    control.hcxt = CurrentMemoryContext;
    HTAB* topics = hash_create("topics", 256, &control, HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
    char* prefix = Prefix(scope);
    StringInfoData out;
    ListCell* cell;
    initStringInfo(&out);
    AppendSource(&out, prefix, children);
    foreach (cell, children) {
        const FeedChild* child = (const FeedChild*)lfirst(cell);
        char* topic = TopicOf(prefix, child);
        CheckTopic(topics, topic, child);
        CheckTable(child);
        AppendSink(&out, topic, child);
    }
    out.data[out.len - 1] = '\0';  // the last newline is for who prints it
    return out.data;
}
