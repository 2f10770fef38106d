#include "pg/check/check_condition.h"

#include "pg/server/caught.h"
#include "pg/server/tables.h"

extern "C" {
#include <parser/parser.h>
}

// Where a condition says vm_jsonb, or the one function of ours that it may name without its schema: offsets
// in its text.
struct Mention {
    int at;
    bool function;
};
struct Mentions {
    int count;
    int columns;
    Mention of[64];
};

static const char* WordOf(bool function) {
    return function ? "vm_has_wrapper" : "vm_jsonb";
}

static void AddMention(Mentions* mentions, const List* name, int at, bool function) {
    Node* word = (Node*)linitial(name);
    if (list_length(name) != 1 || !IsA(word, String) || strcmp(strVal(word), WordOf(function)) != 0) return;
    if (mentions->count == lengthof(mentions->of))
        ereport(ERROR, (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
                        errmsg("%s stands in the condition too often", WordOf(function))));
    mentions->of[mentions->count++] = {at, function};
    if (!function) mentions->columns++;
}

static bool FindMentions(Node* node, void* arg) {
    Mentions* mentions = (Mentions*)arg;
    if (node == NULL) return false;
    if (IsA(node, ColumnRef)) {
        AddMention(mentions, ((ColumnRef*)node)->fields, ((ColumnRef*)node)->location, false);
        return false;
    }
    if (IsA(node, FuncCall))
        AddMention(mentions, ((FuncCall*)node)->funcname, ((FuncCall*)node)->location, true);
    return WalkRawTree(node, FindMentions, arg);
}

static int CompareOffsets(const void* a, const void* b) {
    return ((const Mention*)a)->at - ((const Mention*)b)->at;
}

// The condition is one expression and nothing more, so that it stays in the parentheses it is put into.
static Mentions ParseCondition(const char* condition) {
    List* parsed = raw_parser(condition, RAW_PARSE_PLPGSQL_EXPR);
    SelectStmt* select = (SelectStmt*)linitial_node(RawStmt, parsed)->stmt;
    bool plain = IsA(select, SelectStmt) && list_length(select->targetList) == 1 &&
                 linitial_node(ResTarget, select->targetList)->name == NULL &&
                 select->distinctClause == NIL && select->fromClause == NIL && select->whereClause == NULL &&
                 select->groupClause == NIL && select->havingClause == NULL && select->windowClause == NIL &&
                 select->sortClause == NIL && select->limitOffset == NULL && select->limitCount == NULL &&
                 select->lockingClause == NIL;
    if (!plain)
        ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR), errmsg("it is not a single boolean expression")));
    Mentions mentions = {};
    FindMentions((Node*)linitial_node(ResTarget, select->targetList)->val, &mentions);
    qsort(mentions.of, mentions.count, sizeof(Mention), CompareOffsets);
    return mentions;
}

// The condition with each mention replaced.
static void AppendFor(StringInfo sql, const char* condition, const Mentions* mentions, const char* column,
                      const char* function) {
    int from = 0;
    appendStringInfoChar(sql, '(');
    for (int i = 0; i < mentions->count; i++) {
        Mention mention = mentions->of[i];
        appendBinaryStringInfo(sql, condition + from, mention.at - from);
        appendStringInfoString(sql, mention.function ? function : column);
        int quotes = condition[mention.at] == '"' ? 2 : 0;
        from = mention.at + (int)strlen(WordOf(mention.function)) + quotes;
    }
    appendStringInfo(sql, "%s\n)", condition + from);
}

// SQL with the value true or false; what says vm_jsonb is asked of each json and jsonb column but _doc.
static char* ConditionSql(const char* condition, Relation rel, Oid schema) {
    Mentions mentions = ParseCondition(condition);
    char* function = ExtensionName(schema, WordOf(true));
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoChar(&sql, '(');
    if (mentions.columns == 0) AppendFor(&sql, condition, &mentions, NULL, function);
    TupleDesc desc = RelationGetDescr(rel);
    int columns = 0;
    for (int i = 0; mentions.columns > 0 && i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        Oid type = att->attisdropped ? InvalidOid : getBaseType(att->atttypid);
        if ((type != JSONBOID && type != JSONOID) || strcmp(NameStr(att->attname), "_doc") == 0) continue;
        if (columns++ > 0) appendStringInfoString(&sql, " OR ");
        AppendFor(&sql, condition, &mentions,
                  psprintf("(child.%s::jsonb)", quote_identifier(NameStr(att->attname))), function);
    }
    if (mentions.columns > 0 && columns == 0)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN),
                 errmsg("table %s has no json or jsonb column for vm_jsonb", RelationGetRelationName(rel))));
    appendStringInfoString(&sql, ") IS TRUE");
    return sql.data;
}

char* ConditionSource(Relation rel, const char* watermark, bool stand_in) {
    return psprintf("(SELECT vm_c.*%s%s FROM ONLY %s vm_c) child",
                    stand_in ? ", NULL::text AS _id, NULL::text AS _doc" : "",
                    watermark ? psprintf(", %s AS vm_watermark", watermark) : "",
                    QualifiedName(RelationGetRelid(rel)));
}

struct Trial {
    const char* condition;
    Relation rel;
    const char* source;
    Oid schema;
    char* sql;
};

static void Try(void* arg) {
    Trial* trial = (Trial*)arg;
    if (trial->rel == NULL) {
        ParseCondition(trial->condition);
        return;
    }
    trial->sql = ConditionSql(trial->condition, trial->rel, trial->schema);
    // In WHERE, which takes no aggregates, window functions or sets.
    char* statement = psprintf("SELECT FROM %s WHERE %s", trial->source, trial->sql);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    if (SPI_prepare(statement, 0, NULL) == NULL)
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    SPI_finish();
}

ErrorData* TryCondition(Oid schema, const char* condition, Relation rel, const char* source, char** sql) {
    Trial trial = {condition, rel, source, schema, NULL};
    SafePath path = EnterSafePath();
    ErrorData* error = RunCaught(Try, &trial);
    LeaveSafePath(path);
    *sql = trial.sql;
    return error;
}

ErrorData* TrySyntax(const char* condition) {
    Trial trial = {condition, NULL, NULL, InvalidOid, NULL};
    return RunCaught(Try, &trial);
}
