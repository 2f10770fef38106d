// What the registry says about the table: its mapping, which rows are closed, and what moves first.
#include "pg/server/caught.h"
#include "pg/check/check_condition.h"
#include "pg/move/move_target.h"
#include "pg/mapping/plan_cache.h"
#include "pg/project/preflight.h"
#include "pg/server/tables.h"

// The table's row of vm_parent, and how many children are to be expected.
struct Registered {
    bool found;
    char* entity;
    char* mapping;
    char* closed;
};

static Registered ReadRegistry(Preflight* flight) {
    SqlArg args[] = {OidArg(REGCLASSOID, flight->parent)};
    AsOwner owner = EnterAsOwner(flight->schema);
    SqlResult row = RunSql(psprintf("SELECT entity, mapping, closed FROM %s WHERE parent = $1",
                                    ExtensionName(flight->schema, "vm_parent")),
                           args, 1, 3);
    // A finished project has its child no more; children of a pool serve one project after another.
    SqlResult projects = RunSql(
        psprintf(
            "SELECT (SELECT count(*) FROM %s) - count(*) FILTER (WHERE e.child IS NULL AND e.finish_at IS "
            "NOT NULL), coalesce(bool_or(e.pooled), false) FROM %s e JOIN %s p ON p.entity = e.entity WHERE "
            "p.parent = $1",
            ExtensionName(flight->schema, "vm_project"), ExtensionName(flight->schema, "vm_project_entity"),
            ExtensionName(flight->schema, "vm_parent")),
        args, 1, 2);
    LeaveAsOwner(owner);
    SafePath path = EnterSafePath();
    SqlResult children = RunSql("SELECT count(*) FROM pg_inherits WHERE inhparent = $1", args, 1, 1);
    LeaveSafePath(path);
    flight->children = DatumGetInt64(children.value[0]);
    if (!DatumGetBool(projects.value[1]))
        flight->children = Max(flight->children, DatumGetInt64(projects.value[0]));
    if (!row.found) return Registered{};
    return Registered{true, TextOrNull(&row, 0), TextOrNull(&row, 1), TextOrNull(&row, 2)};
}

// The columns that the mapping fills with the trigger's tenant and project; without one those of the usual
// names.
static void FindOwn(Preflight* flight, const char* mapping) {
    char* rules = mapping ? MappingRules(flight->schema, mapping) : NULL;
    SqlArg args[] = {OidArg(OIDOID, flight->parent), TextArg(rules)};
    SafePath path = EnterSafePath();
    SqlResult own = RunSql(
        "SELECT coalesce(array_agg(attname::text ORDER BY attnum), '{}') FROM pg_attribute WHERE attrelid = "
        "$1 AND "
        "attnum > 0 AND NOT attisdropped AND CASE WHEN $2 IS NULL THEN attname IN ('tenant_id', "
        "'project_id') ELSE "
        "($2::jsonb -> 'columns' -> attname -> 'default' ->> 'arg') IN ('1', '2') END",
        args, 2, 1);
    LeaveSafePath(path);
    flight->own = own.value[0];
}

struct Trial {
    Preflight* flight;
    const char* text;
    CompiledMapping* compiled;
};

static void TryMapping(void* arg) {
    Trial* trial = (Trial*)arg;
    char* args[] = {(char*)"tenant", (char*)"project"};
    trial->compiled =
        CompileMapping(trial->flight->schema, trial->text, trial->flight->rel, args, 2, CurrentMemoryContext);
}

// As it is checked when the parent is registered. Analysed, not run.
static void TryClosed(void* arg) {
    Trial* trial = (Trial*)arg;
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    char* sql = psprintf("SELECT FROM ONLY %s vm_p WHERE (%s\n) IS TRUE", trial->flight->name, trial->text);
    if (SPI_prepare(sql, 0, NULL) == NULL)
        elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    SPI_finish();
}

static char* Said(const ErrorData* error) {
    char* message = ReadableMessage(error);
    if (error->hint == NULL) return message;
    size_t len = strlen(message);
    return psprintf("%s%s %s", message, len > 0 && message[len - 1] == '.' ? "" : ".", error->hint);
}

static bool IsFilled(const CompiledMapping* compiled, AttrNumber attno, wall::ColumnWords* words) {
    for (int i = 0; i < compiled->table.count; i++) {
        int column = compiled->info.column_of[i];
        if (compiled->table.io[i].attno != attno || column < 0) continue;
        wall::Explain(compiled->plan, column, words);
        return true;
    }
    return false;
}

// NOT NULL columns: those that nothing fills, and those that only the document does.
static void FindEmpty(Preflight* flight, const CompiledMapping* compiled, const char* mapping) {
    TupleDesc desc = RelationGetDescr(flight->rel);
    char* needed = NULL;
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        wall::ColumnWords words = {};
        const char* name = quote_identifier(NameStr(att->attname));
        if (att->attisdropped || !att->attnotnull || att->atthasdef || att->attidentity ||
            strcmp(name, "_id") == 0)
            continue;
        if (!IsFilled(compiled, att->attnum, &words))
            Note(flight, Severity::Error, "mapping",
                 psprintf("column %s is NOT NULL, has no default, and mapping \"%s\" leaves it empty", name,
                          mapping),
                 NULL);
        else if (strcmp(words.fallback, "none: refused") == 0)
            needed = needed ? psprintf("%s, %s", needed, name) : pstrdup(name);
    }
    if (needed == NULL) return;
    Note(flight, Severity::Info, "mapping",
         psprintf("a document must have %s: mapping \"%s\" has no default for what is NOT NULL", needed,
                  mapping),
         NULL);
}

static void FindMapping(Preflight* flight, const char* mapping) {
    Trial trial = {flight, mapping, NULL};
    // Functions of the table's types, which defaults go through, are its owner's: not for whoever looks at
    // it.
    AsOwner owner = EnterAsTableOwner(flight->parent);
    ErrorData* error = RunCaught(TryMapping, &trial);
    LeaveAsOwner(owner);
    if (error != NULL) {
        Note(flight, Severity::Error, "mapping", Said(error), NULL);
        return;
    }
    FindEmpty(flight, trial.compiled, mapping);
    if (trial.compiled->info.watermarks == 0)
        Note(flight, Severity::Warning, "mapping",
             psprintf("mapping \"%s\" has no watermark: no document is ever late, and a move never replaces "
                      "a row of the parent",
                      mapping),
             NULL);
    if (!trial.compiled->info.quarantine)
        Note(flight, Severity::Info, "mapping",
             psprintf("mapping \"%s\" stops at a document that cannot be converted, and with it the feed; it "
                      "could go to quarantine",
                      mapping),
             psprintf("SELECT %s(mapping, rules || '{\"on_error\": \"quarantine\"}') FROM %s WHERE mapping = "
                      "%s ORDER BY shipped LIMIT 1;",
                      ExtensionName(flight->schema, "vm_define_mapping"),
                      ExtensionName(flight->schema, "vm_mapping"), quote_literal_cstr(mapping)));
    MemoryContextDelete(trial.compiled->context);
}

static void FindClosed(Preflight* flight, const Registered* registered) {
    Trial trial = {flight, registered->closed, NULL};
    SafePath path = EnterSafePath();
    ErrorData* error = TrySyntax(registered->closed);
    if (error == NULL) error = RunCaught(TryClosed, &trial);
    LeaveSafePath(path);
    if (error == NULL) return;
    Note(flight, Severity::Error, "closed",
         psprintf("the condition for closed rows (%s) does not fit: %s", registered->closed,
                  ReadableMessage(error)),
         NULL);
}

// Foreign keys between entities. Read as the owner: only the registry and the catalog.
static const char kOrder[] = R"(
    WITH reference AS (
        SELECT k.conname, own.entity, own.move_order, other.entity AS other, other.move_order AS other_order
        FROM pg_catalog.pg_constraint k JOIN %1$s own ON own.parent = k.conrelid JOIN %1$s other ON other.parent = k.confrelid
        WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND k.conrelid = $1
    )
    SELECT 'error', 'foreign key', format('%%I refers to entity %%s, which therefore has to move first', conname, other),
        format('UPDATE %%s.vm_parent SET move_order = %%s WHERE entity = %%L;', $3, other_order + 1, entity)
    FROM reference WHERE move_order <= other_order
    UNION ALL
    SELECT 'warning', 'foreign key', format('%%I refers to entity %%s: children have it too and it sees no staged rows; the feed needs session_replication_role = replica', conname, other), NULL
    FROM reference
    UNION ALL
    SELECT 'warning', 'registry', format('its source collection %%s is the same for several projects', source_collection),
        format('UPDATE %%s.vm_parent SET source_collection = %%L WHERE entity = %%L;', $3, entity || '-{tenant}-{project}', entity)
    FROM %1$s WHERE parent = $1 AND strpos(source_collection, '{project}') = 0
        AND EXISTS (SELECT FROM %2$s a JOIN %2$s b ON a.project <> b.project AND (a.tenant = b.tenant OR strpos(source_collection, '{tenant}') = 0))
    )";

void FindRegistry(Preflight* flight) {
    Registered registered = ReadRegistry(flight);
    FindOwn(flight, registered.mapping);
    if (!registered.found) {
        char* mapping = get_rel_name(flight->parent);
        char* shipped = psprintf("%.*s", (int)strlen(mapping) - 1, mapping);  // vouchers, voucher
        if (MappingRules(flight->schema, mapping) == NULL && MappingRules(flight->schema, shipped) != NULL)
            mapping = shipped;
        Note(flight, Severity::Info, "registry",
             "it is not registered yet, so mapping and order of moves are not looked at",
             psprintf("SELECT %s(%s, %s);", ExtensionName(flight->schema, "vm_register_parent"),
                      quote_literal_cstr(flight->name), quote_literal_cstr(mapping)));
        return;
    }
    FindMapping(flight, registered.mapping);
    if (registered.closed != NULL) FindClosed(flight, &registered);
    AsOwner owner = EnterAsOwner(flight->schema);
    AskFindings(flight, psprintf(kOrder, ExtensionName(flight->schema, "vm_parent"),
                                 ExtensionName(flight->schema, "vm_project")));
    LeaveAsOwner(owner);
}
