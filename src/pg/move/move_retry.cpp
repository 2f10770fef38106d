#include "pg/move/move_retry.h"

#include "pg/move/move_insert.h"
#include "pg/server/tables.h"
#include "pg/trigger/anomaly.h"

extern "C" {
#include <utils/tuplestore.h>
}

// A member of a jsonb object as text; *found: it is there. NULL if it is null.
static char* TextOfMember(Datum object, const char* name, bool* found) {
    SqlArg args[] = {{JSONBOID, object, false}, TextArg(name)};
    SqlResult result = RunSql("SELECT $1 ->> $2, $1 ? $2", args, 2, 2);
    *found = DatumGetBool(result.value[1]);
    return result.null[0] ? NULL : TextDatumGetCString(result.value[0]);
}

// What the parent gives a column that the row does not have: one that was added since. NULL for none.
static char* DefaultOf(const MoveTarget* target, const char* column) {
    SqlArg args[] = {OidArg(OIDOID, target->parent_oid), TextArg(column)};
    SqlResult expression = RunSql(
        "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a ON a.attrelid = "
        "d.adrelid AND "
        "a.attnum = d.adnum WHERE d.adrelid = $1 AND a.attname = $2",
        args, 2, 1);
    if (!expression.found) return NULL;
    SqlResult value =
        RunSql(psprintf("SELECT format('%%s', %s)", TextDatumGetCString(expression.value[0])), NULL, 0, 1);
    return value.null[0] ? NULL : TextDatumGetCString(value.value[0]);
}

// A column of the child may have been renamed or dropped since: its value would be lost.
static void CheckMembers(const MoveTarget* target, Datum staged_row) {
    SqlArg args[] = {{JSONBOID, staged_row, false}, OidArg(OIDOID, target->child_oid)};
    SqlResult stray = RunSql(
        "SELECT k FROM jsonb_object_keys($1) k WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = "
        "$2 AND "
        "attname = k AND NOT attisdropped) LIMIT 1",
        args, 2, 1);
    if (stray.found)
        ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                        errmsg("child %s has no column \"%s\" any more", target->child_name,
                               TextDatumGetCString(stray.value[0])),
                        errhint("Rename or remove the member of staged_row in vm_quarantine.")));
}

static HeapTuple FormRow(const MoveTarget* target, Datum staged_row) {
    int natts = target->row->natts;
    Datum* values = (Datum*)palloc0(sizeof(Datum) * natts);
    bool* nulls = (bool*)palloc0(sizeof(bool) * natts);
    for (int i = 0; i < natts - 1; i++) {
        char* text = NULL;
        Form_pg_attribute att = TupleDescAttr(target->row, i);
        if (target->map[i] != InvalidAttrNumber) {
            bool found;
            text = TextOfMember(staged_row, NameStr(att->attname), &found);
            if (!found) text = DefaultOf(target, NameStr(att->attname));
        }
        nulls[i] = text == NULL;
        if (text != NULL) values[i] = TextAs(att, text);
    }
    return heap_form_tuple(target->row, values, nulls);
}

// The row that lost, and the one that stands.
static void RecordLost(const MoveTarget* target, const RefusedRow* row, HeapTuple formed) {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    Tuplestorestate* store = tuplestore_begin_heap(false, false, work_mem);
    tuplestore_puttuple(store, formed);
    RegisterRows("vm_batch", target->row, store, 1);
    int code =
        SPI_execute(psprintf("SELECT %s, %s, to_jsonb(vm_p) FROM vm_batch vm_c LEFT JOIN %s vm_p ON %s",
                             target->watermark_c, target->watermark_p, target->parent_only, target->match),
                    false, 1);
    if (code != SPI_OK_SELECT || SPI_processed == 0) elog(ERROR, "the row that stands cannot be read");
    SqlArg args[] = {OidArg(REGCLASSOID, row->child),
                     TextArg(target->compiled->mapping),
                     TextArg(row->id),
                     TextArg("move_conflict"),
                     {TIMESTAMPTZOID, (Datum)0, false},
                     {TIMESTAMPTZOID, (Datum)0, false},
                     {JSONBOID, row->staged_row, false},
                     {JSONBOID, (Datum)0, false},
                     TextArg(row->doc)};
    const int kFromQuery[] = {4, 5, 7};
    for (int i = 0; i < (int)lengthof(kFromQuery); i++) {
        SqlArg* arg = &args[kFromQuery[i]];
        arg->value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &arg->null);
    }
    WriteAnomaly(row->schema, args);
    tuplestore_end(store);
    SPI_finish();
}

bool MoveRefusedRow(const RefusedRow* row) {
    MoveOptions options = {NULL, row->on_conflict ? OnConflictOf(row->on_conflict) : OnConflict::Newer,
                           Locking::Claim, (char*)row->key_index};
    MoveTarget* target = BuildTarget(row->schema, row->child, &options, CurrentMemoryContext);
    OpenTarget(&target);
    SafePath path = EnterSafePath();
    CheckMembers(target, row->staged_row);
    ClaimedRows claimed = {1, 0, NULL, (HeapTuple*)palloc(sizeof(HeapTuple))};
    claimed.rows[0] = FormRow(target, row->staged_row);
    LeaveSafePath(path);
    target->native_insert = false;  // one row, and the parent's own words if it is refused again
    int which = 0;
    bool fatal = false;
    WrittenRows written = InsertBySql(target, &claimed, &which, 1, false, &fatal);
    path = EnterSafePath();
    if (written.nkept > 0) RecordLost(target, row, claimed.rows[0]);
    LeaveSafePath(path);
    CloseTarget(target);
    MemoryContextDelete(target->context);
    return written.nkept == 0;
}
