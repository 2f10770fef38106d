// What AWS DMS is told: JSON as its documentation has it.
#include "pg/server/compat.h"
#include "pg/feed/feed_quote.h"
#include "pg/feed/feed_task.h"
#include "pg/server/tables.h"

extern "C" {
#include <utils/json.h>
}

// DMS processes mappings of up to 2 MB.
static constexpr int kMostBytes = 2000000;

static char* Json(const char* text) {
    StringInfoData out;
    initStringInfo(&out);
    escape_json(&out, text);
    return out.data;
}

// A database of the source, and where its collections go.
struct Database {
    const char* name;
    const char* schema;
    const FeedChild* child;  // the first
};

static void CheckCollection(const FeedChild* child) {
    if (strchr(child->collection, '$') == NULL && strchr(child->database, '$') == NULL) return;
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("AWS DMS cannot read collection \"%s\" of database \"%s\"", child->collection,
                           child->database),
                    errdetail("Names with a dollar sign are among its limitations."),
                    errhint("Load it with another feed: format => 'mongoexport' or 'debezium'.")));
}

// A schema is renamed as a whole: of one database there cannot be two.
static List* NoteDatabase(List* databases, const FeedChild* child) {
    ListCell* cell;
    foreach (cell, databases) {
        const Database* known = (const Database*)lfirst(cell);
        if (strcmp(known->name, child->database) != 0) continue;
        if (strcmp(known->schema, child->schema) == 0) return databases;
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                 errmsg("one task of AWS DMS cannot write collections of database \"%s\" to two schemas",
                        child->database),
                 errdetail("Entity \"%s\" goes to schema \"%s\", entity \"%s\" to schema \"%s\".",
                           known->child->entity, known->schema, child->entity, child->schema),
                 errhint("Make a task for each entity: entity => %s, then entity => %s.",
                         quote_literal_cstr(known->child->entity), quote_literal_cstr(child->entity))));
    }
    Database* database = (Database*)palloc(sizeof(Database));
    *database = {child->database, child->schema, child};
    return lappend(databases, database);
}

static void AppendRule(StringInfo out, int* rules, const char* type) {
    int id = ++*rules;
    appendStringInfo(out, "%s\n    {\"rule-type\": \"%s\", \"rule-id\": \"%d\", \"rule-name\": \"%d\", ",
                     id > 1 ? "," : "", type, id, id);
}

static void AppendChild(StringInfo out, int* rules, const FeedChild* child) {
    char* locator = psprintf("\"object-locator\": {\"schema-name\": %s, \"table-name\": %s}",
                             Json(DmsPattern(child->database)), Json(DmsPattern(child->collection)));
    AppendRule(out, rules, "selection");
    appendStringInfo(out, "%s, \"rule-action\": \"include\", \"filters\": []}", locator);
    AppendRule(out, rules, "transformation");
    appendStringInfo(
        out,
        "\"rule-target\": \"table\", %s, \"rule-action\": \"rename\", \"value\": %s, \"old-value\": null}",
        locator, Json(child->name));
}

char* DmsMappings(List* children) {
    StringInfoData out;
    List* databases = NIL;
    int rules = 0;
    ListCell* cell;
    initStringInfo(&out);
    appendStringInfoString(&out, "{\"rules\": [");
    foreach (cell, children) {
        const FeedChild* child = (const FeedChild*)lfirst(cell);
        CheckCollection(child);
        databases = NoteDatabase(databases, child);
        AppendChild(&out, &rules, child);
    }
    foreach (cell, databases) {
        const Database* database = (const Database*)lfirst(cell);
        if (strcmp(database->name, database->schema) == 0) continue;
        AppendRule(&out, &rules, "transformation");
        appendStringInfo(&out,
                         "\"rule-target\": \"schema\", \"object-locator\": {\"schema-name\": %s}, "
                         "\"rule-action\": \"rename\", \"value\": %s, \"old-value\": null}",
                         Json(DmsPattern(database->name)), Json(database->schema));
    }
    appendStringInfoString(&out, "\n]}");
    if (out.len > kMostBytes)
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("the table mappings are larger than AWS DMS takes"),
                        errdetail("They have %s for %d children; the limit is 2 MB.", PrettySize(out.len),
                                  list_length(children)),
                        errhint("Make several tasks: by tenant, by project or by entity.")));
    return out.data;
}

char* DmsSettings(void) {
    return pstrdup(
        "{\n"
        "  \"TargetMetadata\": {\n"
        "    \"SupportLobs\": true,\n"
        "    \"FullLobMode\": true,\n"
        "    \"LobChunkSize\": 64,\n"
        "    \"LimitedSizeLobMode\": false,\n"
        "    \"BatchApplyEnabled\": false\n"
        "  },\n"
        "  \"FullLoadSettings\": {\n"
        "    \"TargetTablePrepMode\": \"DO_NOTHING\",\n"
        "    \"CreatePkAfterFullLoad\": false,\n"
        "    \"MaxFullLoadSubTasks\": 8\n"
        "  },\n"
        "  \"ChangeProcessingDdlHandlingPolicy\": {\n"
        "    \"HandleSourceTableDropped\": false,\n"
        "    \"HandleSourceTableTruncated\": false,\n"
        "    \"HandleSourceTableAltered\": false\n"
        "  },\n"
        "  \"ErrorBehavior\": {\n"
        "    \"DataErrorPolicy\": \"STOP_TASK\",\n"
        "    \"DataTruncationErrorPolicy\": \"STOP_TASK\",\n"
        "    \"ApplyErrorInsertPolicy\": \"INSERT_RECORD\",\n"
        "    \"ApplyErrorUpdatePolicy\": \"LOG_ERROR\",\n"
        "    \"ApplyErrorDeletePolicy\": \"LOG_ERROR\",\n"
        "    \"FailOnNoTablesCaptured\": true\n"
        "  },\n"
        "  \"Logging\": {\n"
        "    \"EnableLogging\": true\n"
        "  },\n"
        "  \"ValidationSettings\": {\n"
        "    \"EnableValidation\": false\n"
        "  }\n"
        "}");
}

char* DmsSource(void) {
    return pstrdup("{\"NestingLevel\": \"none\", \"ExtractDocId\": \"true\"}");
}

char* DmsTarget(void) {
    return pstrdup("{\"AfterConnectScript\": \"SET session_replication_role = 'replica'\"}");
}
