#include "pg/move_retry.h"

#include "pg/move_insert.h"
#include "pg/tables.h"

// A member of a jsonb object as text; NULL if it is null or not there.
static char* TextOfMember(Datum object, const char* name) {
    SqlArg args[] = {{JSONBOID, object, false}, TextArg(name)};
    SqlResult result = RunSql("SELECT $1 ->> $2", args, 2, 1);
    return result.null[0] ? NULL : TextDatumGetCString(result.value[0]);
}

bool MoveRefusedRow(Oid schema, Oid child, Datum staged_row) {
    MoveOptions options = {NULL, OnConflict::Newer, Locking::Claim, NULL};
    MoveTarget* target = BuildTarget(schema, child, &options, CurrentMemoryContext);
    OpenTarget(&target);
    SafePath path = EnterSafePath();
    int natts = target->row->natts;
    Datum* values = (Datum*)palloc0(sizeof(Datum) * natts);
    bool* nulls = (bool*)palloc0(sizeof(bool) * natts);
    for (int i = 0; i < natts - 1; i++) {
        char* text = NULL;
        Form_pg_attribute att = TupleDescAttr(target->row, i);
        if (target->map[i] != InvalidAttrNumber) text = TextOfMember(staged_row, NameStr(att->attname));
        nulls[i] = text == NULL;
        if (text != NULL) values[i] = TextAs(att, text);
    }
    target->native_insert = false;  // one row, and the parent's own words if it is refused again
    ClaimedRows claimed = {1, 0, NULL, (HeapTuple*)palloc(sizeof(HeapTuple))};
    claimed.rows[0] = heap_form_tuple(target->row, values, nulls);
    int which = 0;
    bool fatal = false;
    WrittenRows written = InsertBySql(target, &claimed, &which, 1, false, &fatal);
    LeaveSafePath(path);
    CloseTarget(target);
    MemoryContextDelete(target->context);
    return written.nkept == 0;
}
