// What stands in the way of a switch: steps that are not done, and what the checks of the children find.
#include "pg/check/check_condition.h"
#include "pg/move/move_target.h"
#include "pg/project/project_facts.h"
#include "pg/server/sealed.h"
#include "pg/switch/switch.h"
#include "pg/server/tables.h"

extern "C" {
#include <utils/snapmgr.h>
}

// Lines of an error's detail and hint.
struct Objections {
    int count;
    StringInfoData detail;
    StringInfoData hint;
};

static Objections NoObjections(void) {
    Objections objections = {};
    initStringInfo(&objections.detail);
    initStringInfo(&objections.hint);
    return objections;
}

static void AddLine(StringInfo lines, const char* line) {
    if (strstr(lines->data, line) != NULL) return;
    appendStringInfo(lines, "%s%s", lines->len > 0 ? "\n" : "", line);
}

static void Object(Objections* objections, const Switch* s, int i, StringInfo found, const char* what,
                   const char* hint) {
    objections->count++;
    AddLine(&objections->detail, psprintf("%s: %s.", s->entities[i]->parent.entity, what));
    AddLine(found, what);
    AddLine(&objections->hint, hint);
}

static void RaiseUnlessOverridden(const Switch* s, const Objections* objections) {
    if (objections->count == 0 || s->reason != NULL) return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("project %s of tenant %s cannot be switched", s->project, s->tenant),
                    errdetail("%s", objections->detail.data),
                    errhint("%s\nOr give override_reason, which goes on record.", objections->hint.data)));
}

// The condition was stored by somebody.
static void OnConditionError(void* arg) {
    internalerrquery(NULL);
    internalerrposition(0);
    errcontext("closed rows of entity %s", (const char*)arg);
}

static bool HasRow(const Switch* s, int i, const char* condition) {
    ErrorContextCallback callback = {error_context_stack, OnConditionError, s->entities[i]->parent.entity};
    error_context_stack = &callback;
    ErrorData* error = TrySyntax(condition);
    if (error != NULL) ReThrowError(error);
    Sealed sealed = Seal();
    const ProjectEntity* entity = s->entities[i];
    bool found = HasRowAs(RoleOfConditions(entity->child, entity->parent.parent),
                          psprintf("SELECT true FROM ONLY %s WHERE (%s\n) AND _doc IS NOT NULL LIMIT 1",
                                   s->children[i].name, condition));
    Unseal(sealed);
    error_context_stack = callback.previous;
    return found;
}

static bool FeedWasSeen(const Switch* s, int i) {
    ProjectKey key = {s->schema, s->tenant, s->project};
    return FeedIsSeen(&key, s->entities[i]) == Known::Yes;
}

static char* RecordCall(const Switch* s, Step step, const char* found) {
    return psprintf("SELECT %s(%s, %s, '%s'%s);", ExtensionName(s->schema, "vm_record_step"),
                    quote_literal_cstr(s->tenant), quote_literal_cstr(s->project), WordOf(step), found);
}

static char* MoveCall(const Switch* s, int i, const char* filter) {
    return psprintf("CALL %s(%s%s%s);", ExtensionName(s->schema, "vm_move"),
                    quote_literal_cstr(s->children[i].name), filter ? ", filter => " : "",
                    filter ? quote_literal_cstr(filter) : "");
}

// Rows that could not be moved once applications write to PostgreSQL.
static void CheckKey(const Switch* s, int i, Objections* objections) {
    Oid parent = s->entities[i]->parent.parent;
    SafePath path = EnterSafePath();
    bool has = OidIsValid(FindKeyIndex(parent));
    LeaveSafePath(path);
    if (has) return;
    char* name = QualifiedName(parent);
    Object(
        objections, s, i, &s->found[i].order,
        psprintf("its rows cannot be moved: parent %s has no primary key or unique index to move by", name),
        psprintf("Give %s a primary key, or a unique index on NOT NULL columns that are no identity.", name));
}

static void CheckOrderOf(const Switch* s, int i, Objections* objections) {
    const ProjectEntity* entity = s->entities[i];
    const Parent* parent = &entity->parent;
    const char* child = s->children[i].name;
    StringInfo found = &s->found[i].order;
    CheckKey(s, i, objections);
    if (!entity->done[(int)Step::SourceCheck])
        Object(objections, s, i, found, "nobody has recorded that the source was checked",
               psprintf("Check the source (%s), then %s", ExtensionName(s->schema, "vm_source_checks"),
                        RecordCall(s, Step::SourceCheck, ", 'clean'")));
    if (FeedWasLost(s->schema, s->tenant, s->project, entity))
        Object(objections, s, i, found, "its feed has to begin anew",
               psprintf("Let the feed load the collection once more, then %s",
                        RecordCall(s, Step::FeedStart,
                                   psprintf(", entity => %s", quote_literal_cstr(parent->entity)))));
    else if (!entity->done[(int)Step::FeedStart] && !FeedWasSeen(s, i))
        Object(objections, s, i, found,
               psprintf("no feed was recorded or seen, and child %s is empty", child),
               psprintf("Start the feed, then %s", RecordCall(s, Step::FeedStart, "")));
    if (parent->active_before_switch) {
        if (!entity->done[(int)Step::Move] && ChildHas(entity, "true") != Known::No)
            Object(objections, s, i, found,
                   psprintf("its rows move before the switch, and child %s was not moved", child),
                   MoveCall(s, i, NULL));
    } else if (parent->closed != NULL && HasRow(s, i, parent->closed)) {
        Object(objections, s, i, found, psprintf("closed rows are still in child %s", child),
               MoveCall(s, i, parent->closed));
    }
}

void CheckOrder(Switch* s) {
    Objections objections = NoObjections();
    for (int i = 0; i < s->count; i++) CheckOrderOf(s, i, &objections);
    RaiseUnlessOverridden(s, &objections);
}

static char* TextAt(int row, int column) {
    return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

// A row of the query below: name, severity, rows, sample ids, hint.
static void TakeFinding(const Switch* s, int i, int row, Objections* objections) {
    const char* name = TextAt(row, 1);
    const char* rows = TextAt(row, 3);
    const char* ids = TextAt(row, 4);
    const char* hint = TextAt(row, 5);
    const char* what = rows ? psprintf("%s, %s %s%s", name, rows, strcmp(rows, "1") == 0 ? "row" : "rows",
                                       ids ? psprintf(", _id %s", ids) : "")
                            : psprintf("%s could not be asked", name);
    if (TextAt(row, 2)[0] == 'e') {
        Object(objections, s, i, &s->found[i].checks, what,
               psprintf("%s: %s", name, hint ? hint : "Mend it at the source."));
        return;
    }
    SwitchFound* found = &s->found[i];
    found->warnings++;
    found->warned = found->warned ? psprintf("%s; %s", found->warned, what) : pstrdup(what);
}

static void CheckChild(const Switch* s, int i, Objections* objections) {
    MemoryContext caller = CurrentMemoryContext;
    Oid types[] = {REGCLASSOID};
    Datum values[] = {ObjectIdGetDatum(s->entities[i]->child)};
    SafePath path = EnterSafePath();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    // Read only: it sees the snapshot that the caller has pushed, and so does vm_check.
    int code = SPI_execute_with_args(
        psprintf("SELECT check_name, severity, rows, array_to_string(sample_ids, ', '), hint FROM "
                 "%s($1) WITH ORDINALITY WHERE severity <> 'info' AND (rows > 0 OR rows IS NULL) ORDER BY "
                 "ordinality",
                 ExtensionName(s->schema, "vm_check")),
        1, types, values, NULL, true, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "vm_check failed: %s", SPI_result_code_string(code));
    for (uint64 row = 0; row < SPI_processed; row++) {
        MemoryContext spi = MemoryContextSwitchTo(caller);
        TakeFinding(s, i, (int)row, objections);
        MemoryContextSwitchTo(spi);
    }
    code = SPI_execute(psprintf("SELECT count(*) FROM ONLY %s", s->children[i].name), true, 1);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
    bool null;
    s->found[i].staged = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    SPI_finish();
    LeaveSafePath(path);
}

void CheckFindings(Switch* s, Snapshot snapshot) {
    Objections objections = NoObjections();
    PushActiveSnapshot(snapshot);
    for (int i = 0; i < s->count; i++) {
        s->found[i].warnings = 0;
        s->found[i].warned = NULL;
        resetStringInfo(&s->found[i].checks);
        CheckChild(s, i, &objections);
    }
    PopActiveSnapshot();
    RaiseUnlessOverridden(s, &objections);
}
