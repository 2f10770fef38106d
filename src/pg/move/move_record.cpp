#include "pg/move/move_record.h"

#include "pg/trigger/anomaly.h"
#include "pg/server/caught.h"
#include "pg/move/move_insert.h"
#include "pg/server/tables.h"

extern "C" {
#include <utils/tuplestore.h>
}

static constexpr size_t kReportBytes = 400;

// Adds "_id" or "_id (why)" to a list that is cut where it gets long.
static void Note(const MoveReport* report, char** list, const char* id, const char* why) {
    size_t have = *list ? strlen(*list) : 0;
    if (have >= kReportBytes) return;
    MemoryContext caller = MemoryContextSwitchTo(report->context);
    char* item = why ? psprintf("%s (%s)", id ? id : "(none)", why) : pstrdup(id ? id : "(none)");
    *list = have == 0 ? item : psprintf("%s, %s", *list, item);
    if (strlen(*list) >= kReportBytes) *list = psprintf("%s, ...", *list);
    MemoryContextSwitchTo(caller);
}

// Text that reads back as it was, whatever the session's settings.
static void SetPlainStyles(void) {
    static const char* const kStyles[][2] = {{"datestyle", "ISO, YMD"},
                                             {"intervalstyle", "postgres"},
                                             {"extra_float_digits", "3"},
                                             {"bytea_output", "hex"}};
    for (const auto& style : kStyles)
        (void)set_config_option(style[0], style[1], PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                                false);
}

// Runs a query about rows of a batch as they stood in the child, seen as vm_c. SPI is connected; its result
// is SPI_tuptable.
static void AskAboutRows(const MoveTarget* target, const ClaimedRows* claimed, const int* which, int count,
                         const char* query) {
    Tuplestorestate* rows = ChildRows(target, claimed, which, count);
    RegisterRows("vm_staged", RelationGetDescr(target->child), rows, count);
    int code = SPI_execute(query, false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
    tuplestore_end(rows);
}

static SqlArg ArgOf(uint64 row, int column) {
    SqlArg arg = {SPI_gettypeid(SPI_tuptable->tupdesc, column), (Datum)0, false};
    arg.value = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &arg.null);
    return arg;
}

static const char* IdOf(const MoveTarget* target) {
    return target->has_id ? "vm_c._id::text" : "NULL::text";
}

void RecordKept(const MoveTarget* target, const ClaimedRows* claimed, const int* kept, int count,
                MoveReport* report) {
    SafePath path = EnterSafePath();
    SetPlainStyles();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    char* query = psprintf(
        "SELECT %s, %s, %s, (SELECT to_jsonb(vm_x) FROM (SELECT %s) vm_x), to_jsonb(vm_p), vm_c._doc::text "
        "FROM vm_staged vm_c LEFT JOIN %s vm_p ON %s WHERE "
        "(SELECT vm_x::text FROM (SELECT %s FROM (SELECT %s) vm_y) vm_x) IS DISTINCT FROM "
        "(SELECT vm_x::text FROM (SELECT %s FROM (SELECT vm_p.*) vm_y) vm_x)",
        IdOf(target), target->watermark_c, target->watermark_p, target->child_columns, target->parent_only,
        target->match, target->compared, target->child_columns, target->compared);
    AskAboutRows(target, claimed, kept, count, query);
    SPITupleTable* rows = SPI_tuptable;
    for (uint64 i = 0; i < rows->numvals; i++) {
        SPI_tuptable = rows;
        SqlArg args[] = {OidArg(REGCLASSOID, target->child_oid),
                         TextArg(target->compiled->mapping),
                         ArgOf(i, 1),
                         TextArg("move_conflict"),
                         ArgOf(i, 2),
                         ArgOf(i, 3),
                         ArgOf(i, 4),
                         ArgOf(i, 5),
                         ArgOf(i, 6)};
        Note(report, &report->kept, SPI_getvalue(rows->vals[i], rows->tupdesc, 1), NULL);
        WriteAnomaly(target->schema, args);
    }
    SPI_finish();
    LeaveSafePath(path);
}

// {"column": "its text", ...}
static char* RowAsTexts(const MoveTarget* target) {
    StringInfoData names, texts;
    initStringInfo(&names);
    initStringInfo(&texts);
    TupleDesc desc = RelationGetDescr(target->child);
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        const char* name = NameStr(att->attname);
        if (att->attisdropped || att->attgenerated || IsFeedsOwn(target, name)) continue;
        const char* comma = names.len ? ", " : "";
        const char* column = psprintf("vm_c.%s", quote_identifier(name));
        appendStringInfo(&names, "%s%s", comma, quote_literal_cstr(name));
        appendStringInfo(&texts, "%sCASE WHEN %s IS DISTINCT FROM NULL THEN format('%%s', %s) END", comma,
                         column, column);
    }
    return psprintf("jsonb_object(ARRAY[%s]::text[], ARRAY[%s]::text[])", names.data, texts.data);
}

void RecordRefused(const MoveTarget* target, const ClaimedRows* claimed, int row, const ErrorData* error,
                   MoveReport* report) {
    SafePath path = EnterSafePath();
    SetPlainStyles();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    AskAboutRows(
        target, claimed, &row, 1,
        psprintf("SELECT %s, vm_c._doc::text, %s FROM vm_staged vm_c", IdOf(target), RowAsTexts(target)));
    SqlArg args[] = {
        OidArg(REGCLASSOID, target->child_oid),
        TextArg(target->compiled->mapping),
        ArgOf(0, 1),
        ArgOf(0, 2),
        TextArg(unpack_sql_state(error->sqlerrcode)),
        TextArg(ReadableMessage(error)),
        TextArg(error->column_name),
        ArgOf(0, 3),
        TextArg(WordOf(target->options.on_conflict)),
        TextArg(target->options.key_index),
        TextArg(target->child_name),
    };
    Note(report, &report->refused, SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1),
         error->message);
    RunAsOwner(
        target->schema,
        psprintf("INSERT INTO %s (child, mapping, _id, _doc, operation, sqlstate, message, column_name, "
                 "staged_row, on_conflict, key_index, child_name) VALUES ($1, $2, $3, $4, 'MOVE', $5, $6, "
                 "$7, $8, $9, $10, "
                 "$11)",
                 ExtensionName(target->schema, "vm_quarantine")),
        args, lengthof(args), 0);
    SPI_finish();
    LeaveSafePath(path);
}
