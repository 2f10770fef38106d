// vm_retry_quarantine: documents through the trigger again, each in a subtransaction of its own.
#include "pg/server/caught.h"
#include "pg/server/compat.h"
#include "pg/child/is_child.h"
#include "pg/move/move_retry.h"
#include "pg/trigger/quarantine.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_retry_quarantine);
}

struct Case {
    Oid schema;
    int64 number;
    Oid child;
    char* id;  // or NULL
    char* doc;
    char* operation;    // what the feed did, or MOVE
    Datum staged_row;   // of a MOVE, a jsonb
    char* on_conflict;  // and how it was to be moved
    char* key_index;
    int attempts;  // failures so far
    bool gone;     // settled by somebody else meanwhile
    bool settled;
};

static bool IsOperation(const Case* c, const char* operation) {
    return strcmp(c->operation, operation) == 0;
}

// Locks the case; false if it is settled by now. Failures so far come up to date.
static bool LockCase(Case* c) {
    SqlArg args[] = {{INT8OID, Int64GetDatum(c->number), false}};
    SqlResult now = RunAsOwner(
        c->schema,
        psprintf("SELECT attempts FROM %s WHERE quarantine_id = $1 AND settled_at IS NULL FOR UPDATE",
                 ExtensionName(c->schema, "vm_quarantine")),
        args, 1, 1);
    int before = c->attempts;
    if (now.found) c->attempts = DatumGetInt32(now.value[0]);
    return now.found && c->attempts >= before;
}

static void Settle(Case* c, const char* by) {
    c->settled = true;
    SqlArg args[] = {{INT8OID, Int64GetDatum(c->number), false}, TextArg(by)};
    RunAsOwner(
        c->schema,
        psprintf("UPDATE %s SET settled_at = clock_timestamp(), settled_by = $2 WHERE quarantine_id = $1",
                 ExtensionName(c->schema, "vm_quarantine")),
        args, 2, 0);
}

// Moves a row that the parent refused. Errors are for the caller to catch.
static void MoveAgain(void* arg) {
    Case* c = (Case*)arg;
    c->gone = !LockCase(c);
    if (c->gone) return;
    RefusedRow row = {c->schema, c->child, c->id, c->doc, c->staged_row, c->on_conflict, c->key_index};
    Settle(c, MoveRefusedRow(&row) ? "retry" : "kept back");
}

// Sends one document as a feed would. Errors are for the caller to catch.
static void Resend(void* arg) {
    Case* c = (Case*)arg;
    const char* child = QualifiedName(c->child);
    bool has_id = get_attnum(c->child, "_id") != InvalidAttrNumber && c->id != NULL;
    if (IsOperation(c, "UPDATE") && !has_id)
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("an update cannot be sent again to a row without an _id")));
    // The columns' types take the texts as literals would be taken.
    const char* doc = quote_literal_cstr(c->doc);
    const char* id = c->id ? quote_literal_cstr(c->id) : "NULL";
    SafePath path = EnterSafePath();
    // In the order a feed takes its locks: the row, then the case.
    bool exists =
        has_id &&
        RunSql(psprintf("SELECT true FROM ONLY %s WHERE _id = %s FOR UPDATE", child, id), NULL, 0, 1).found;
    c->gone = !LockCase(c);
    if (c->gone) {
        LeaveSafePath(path);
        return;
    }
    int attempts = c->attempts;
    if (exists)
        RunSql(psprintf("UPDATE ONLY %s SET _doc = %s WHERE _id = %s", child, doc, id), NULL, 0, 0);
    else if (has_id)
        RunSql(psprintf("INSERT INTO %s (_id, _doc) VALUES (%s, %s)", child, id, doc), NULL, 0, 0);
    else
        RunSql(psprintf("INSERT INTO %s (_doc) VALUES (%s)", child, doc), NULL, 0, 0);
    LeaveSafePath(path);

    LockCase(c);
    if (c->attempts > attempts) return;  // the trigger has refused it once more
    Settle(c, "retry");
}

static void NoteFailure(const Case* c, const ErrorData* error) {
    SqlArg args[] = {{INT8OID, Int64GetDatum(c->number), false},
                     TextArg(unpack_sql_state(error->sqlerrcode)),
                     TextArg(ReadableMessage(error))};
    RunAsOwner(
        c->schema,
        psprintf("UPDATE %s SET attempts = attempts + 1, last_attempt_at = clock_timestamp(), sqlstate = $2, "
                 "message = $3 WHERE quarantine_id = $1",
                 ExtensionName(c->schema, "vm_quarantine")),
        args, lengthof(args), 0);
}

extern "C" {

// vm_retry_quarantine(child regclass DEFAULT NULL) → (retried, settled, still_open). Error: no child (42809).
Datum vm_retry_quarantine(PG_FUNCTION_ARGS) {
    Oid schema = ExtensionSchema(fcinfo);
    TupleDesc desc;
    if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    SqlArg child = {REGCLASSOID, PG_ARGISNULL(0) ? (Datum)0 : PG_GETARG_DATUM(0), PG_ARGISNULL(0)};
    int64 last = 0, retried = 0, settled = 0;
    MemoryContext each =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate retry", ALLOCSET_DEFAULT_SIZES);
    for (;;) {
        CHECK_FOR_INTERRUPTS();
        MemoryContextReset(each);
        MemoryContext outer = MemoryContextSwitchTo(each);
        SqlArg args[] = {{INT8OID, Int64GetDatum(last), false}, child};
        SqlResult next = RunAsOwner(
            schema,
            psprintf(
                "SELECT quarantine_id, child::oid, _id, _doc, operation, attempts, staged_row, on_conflict, "
                "key_index FROM %s WHERE "
                "settled_at IS NULL AND "
                "quarantine_id > $1 AND ($2 IS NULL OR child = $2) AND child IN (SELECT oid FROM pg_class) "
                "ORDER BY quarantine_id LIMIT 1",
                ExtensionName(schema, "vm_quarantine")),
            args, 2, 9);
        if (!next.found) break;
        Case c = {schema,
                  DatumGetInt64(next.value[0]),
                  DatumGetObjectId(next.value[1]),
                  next.null[2] ? NULL : TextDatumGetCString(next.value[2]),
                  TextDatumGetCString(next.value[3]),
                  TextDatumGetCString(next.value[4]),
                  next.value[6],
                  next.null[7] ? NULL : TextDatumGetCString(next.value[7]),
                  next.null[8] ? NULL : TextDatumGetCString(next.value[8]),
                  DatumGetInt32(next.value[5]),
                  false,
                  false};
        last = c.number;
        ErrorData* volatile error = NULL;
        quarantine_retry = true;
        PG_TRY();
        { error = RunCaught(IsOperation(&c, "MOVE") ? MoveAgain : Resend, &c); }
        PG_FINALLY();
        { quarantine_retry = false; }
        PG_END_TRY();
        retried += !c.gone;
        if (error != NULL) {
            c.settled = false;
            if (error->sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE) ReThrowError(error);
            NoteFailure(&c, error);
        }
        settled += c.settled;
        MemoryContextSwitchTo(outer);
    }
    // Only where there was nothing to do: what has cases was a child once.
    if (last == 0 && !child.null) RequireChild(schema, DatumGetObjectId(child.value));
    Datum values[] = {Int64GetDatum(retried), Int64GetDatum(settled), Int64GetDatum(retried - settled)};
    bool nulls[] = {false, false, false};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
}
