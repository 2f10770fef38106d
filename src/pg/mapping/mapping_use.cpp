#include "pg/mapping/mapping_use.h"

#include "pg/mapping/plan_cache.h"
#include "pg/server/caught.h"
#include "pg/server/tables.h"
#include "pg/server/sealed.h"

// A table to compile the mapping for.
struct Use {
    Oid schema;
    const char* mapping;
    Oid table;
    bool pooled;      // a pool's child: its trigger names no project
    char* served[2];  // the project that it serves, or NULLs
};

// Registered parents, then tables with the trigger. Children of one parent are alike if they have as many
// columns and trigger arguments; of a pool's one is taken that serves a project, if there is one.
static char* UsesQuery(Oid schema) {
    return psprintf(
        "SELECT p.parent::oid, false, NULL, NULL FROM %s p WHERE p.mapping = $1 UNION ALL "
        "(SELECT DISTINCT ON (coalesce(i.inhparent, k.parent, t.tgrelid), t.tgnargs, r.relnatts) t.tgrelid, "
        "o.child IS NOT NULL, e.tenant, e.project FROM pg_trigger t "
        "JOIN pg_proc f ON f.oid = t.tgfoid JOIN pg_class r ON r.oid = t.tgrelid "
        "LEFT JOIN pg_inherits i ON i.inhrelid = t.tgrelid AND i.inhseqno = 1 "
        "LEFT JOIN %s k ON k.child = t.tgrelid LEFT JOIN %s o ON o.child = t.tgrelid "
        "LEFT JOIN %s e ON e.child = t.tgrelid WHERE " VM_TRIGGER_OF_MAPPING
        " ORDER BY coalesce(i.inhparent, k.parent, t.tgrelid), t.tgnargs, r.relnatts, e.child IS NULL, "
        "t.tgrelid)",
        ExtensionName(schema, "vm_parent"), ExtensionName(schema, "vm_child"),
        ExtensionName(schema, "vm_pool"), ExtensionName(schema, "vm_project_entity"));
}

static char* TextInto(MemoryContext context, uint64 row, int column) {
    char* text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
    return text ? MemoryContextStrdup(context, text) : NULL;
}

static List* UsesOf(Oid schema, const char* mapping) {
    MemoryContext caller = CurrentMemoryContext;
    List* uses = NIL;
    Oid types[] = {TEXTOID, OIDOID};
    Datum values[] = {CStringGetTextDatum(mapping), ObjectIdGetDatum(schema)};
    AsOwner owner = EnterAsOwner(schema);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute_with_args(UsesQuery(schema), 2, types, values, NULL, false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
    for (uint64 i = 0; i < SPI_processed; i++) {
        bool null;
        Use* use = (Use*)MemoryContextAllocZero(caller, sizeof(Use));
        use->schema = schema;
        use->mapping = mapping;
        use->table = DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
        use->pooled = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2, &null));
        use->served[0] = TextInto(caller, i, 3);
        use->served[1] = TextInto(caller, i, 4);
        MemoryContext spi = MemoryContextSwitchTo(caller);
        uses = lappend(uses, use);
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    LeaveAsOwner(owner);
    return uses;
}

// What the types of the table's columns say to the mapping's defaults, its owner answers for.
static void TryUse(void* arg) {
    Use* use = (Use*)arg;
    Relation rel = try_relation_open(use->table, AccessShareLock);
    if (rel == NULL) return;
    char** args = NULL;
    int nargs = -1;
    char* used = MappingOfChild(use->schema, rel, &args, &nargs);
    if (used == NULL || strcmp(used, use->mapping) != 0) {
        nargs = -1;  // a parent
    } else if (use->pooled && nargs == 0) {
        args = use->served;
        nargs = use->served[0] ? 2 : -1;
    }
    AsOwner owner = EnterAsTableOwner(use->table);
    Sealed sealed = Seal();
    CompiledMapping* compiled =
        CompileMapping(use->schema, use->mapping, rel, args, nargs, CurrentMemoryContext);
    MemoryContextDelete(compiled->context);
    Unseal(sealed);
    LeaveAsOwner(owner);
    relation_close(rel, AccessShareLock);
}

void RequireFitting(Oid schema, const char* mapping) {
    List* uses = UsesOf(schema, mapping);
    ListCell* cell;
    foreach (cell, uses) {
        ErrorData* error = RunCaught(TryUse, lfirst(cell));
        // Anything else is the table's own fault, or was, and its feed says so.
        if (error != NULL && error->sqlerrcode == ERRCODE_INVALID_PARAMETER_VALUE) ReThrowError(error);
    }
}

void NoteRowsMadeBefore(Oid schema, const char* mapping) {
    SqlArg args[] = {TextArg(mapping), OidArg(OIDOID, schema)};
    SqlResult tables = RunAsOwner(
        schema,
        "SELECT count(*), min(t.tgrelid) FILTER (WHERE a.atttypid = 'text'::regtype) FROM pg_trigger t "
        "JOIN pg_proc f ON f.oid = t.tgfoid LEFT JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attname "
        "= '_doc' WHERE " VM_TRIGGER_OF_MAPPING " AND pg_relation_size(t.tgrelid) > 0",
        args, 2, 2);
    long long count = (long long)DatumGetInt64(tables.value[0]);
    if (count == 0) return;
    Oid one = tables.null[1] ? InvalidOid : DatumGetObjectId(tables.value[1]);
    ereport(NOTICE, (errmsg_plural("%lld table has rows that the former rules of mapping \"%s\" made",
                                   "%lld tables have rows that the former rules of mapping \"%s\" made",
                                   (unsigned long)count, count, mapping),
                     errdetail("They stay as they are until their documents change."),
                     TableStands(one)
                         ? errhint("To make the rows of one anew: UPDATE ONLY %s SET _doc = _doc || ' ';",
                                   QualifiedName(one))
                         : 0));
}
