// Children that are there already: whether what a feed writes to them arrives in the parent's columns.
#include "pg/child/child_columns.h"
#include "pg/project/preflight.h"
#include "pg/server/tables.h"

// Those that inherit, and those of a partitioned table. Read as the owner: only the registry and the catalog.
static const char kSilent[] = R"(
    SELECT 'warning', 'child', CASE t.tgenabled WHEN 'D' THEN format('trigger %%I of child %%s is disabled: documents are stored with nothing in their columns', t.tgname, c.child::regclass)
        ELSE format('trigger %%I of child %%s is not ENABLE ALWAYS: a feed that sets session_replication_role, as AWS DMS is told to, stores documents with nothing in their columns', t.tgname, c.child::regclass) END,
        format('ALTER TABLE %%s ENABLE ALWAYS TRIGGER %%I;', c.child::regclass, t.tgname)
    FROM (SELECT inhrelid FROM pg_inherits WHERE inhparent = $1 UNION SELECT child::oid FROM %s WHERE parent = $1) c (child)
        JOIN pg_trigger t ON t.tgrelid = c.child JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE quote_ident(n.nspname) = $3 AND p.proname IN ('vm_transform', 'transform_voucher', 'transform_campaign') AND t.tgenabled <> 'A'
    ORDER BY c.child::regclass::text, t.tgname)";

// Of a partitioned table: those that stand alone.
static void FindBehind(Preflight* flight) {
    SqlArg args[] = {OidArg(OIDOID, flight->parent)};
    SqlResult children =
        RunAsOwner(flight->schema,
                   psprintf("SELECT array_agg(child::oid ORDER BY child) FROM %s WHERE parent = $1",
                            ExtensionName(flight->schema, "vm_child")),
                   args, 1, 1);
    if (children.null[0]) return;
    Datum* oids;
    int count;
    deconstruct_array(DatumGetArrayTypeP(children.value[0]), OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids,
                      NULL, &count);
    for (int i = 0; i < count; i++) {
        Relation child = try_relation_open(DatumGetObjectId(oids[i]), AccessShareLock);
        if (child == NULL) continue;
        char* statements = ColumnStatements(flight->rel, child);
        if (statements != NULL)
            Note(flight, Severity::Error, "child",
                 psprintf("the columns of child %s are not those of the table any more",
                          QualifiedName(DatumGetObjectId(oids[i]))),
                 statements);
        relation_close(child, AccessShareLock);
    }
}

void FindChildren(Preflight* flight) {
    AsOwner owner = EnterAsOwner(flight->schema);
    AskFindings(flight, psprintf(kSilent, ExtensionName(flight->schema, "vm_child")));
    LeaveAsOwner(owner);
    FindBehind(flight);
}
