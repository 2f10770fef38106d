// Rows that name a row of another entity: one that is nowhere, and counts that are not the number of rows.
#include "pg/check/check.h"
#include "pg/check/check_condition.h"
#include "pg/move/move_target.h"
#include "pg/server/tables.h"

extern "C" {
#include <catalog/pg_index.h>
#include <utils/rls.h>
#include <utils/ruleutils.h>
}

// A row of vm_reference whose entities are both registered.
struct Reference {
    char* column;
    char* to_column;
    char* count_column;  // or NULL
    char* counted;       // or NULL
    Severity severity;
    Severity count_severity;
    bool shipped;
    char* from_entity;
    char* to_entity;
    Oid from;  // parents
    Oid to;
};

// The references of an entity, and those that mean it and have a count there.
static const char* const kReferences =
    "SELECT r.column_name, r.refers_to_column, r.count_column, r.counted, r.severity, r.count_severity, "
    "r.shipped::text, f.entity, t.entity, f.parent::oid::text, t.parent::oid::text FROM (SELECT DISTINCT ON "
    "(entity, column_name) * FROM %s ORDER BY entity, column_name, shipped) r JOIN %s f ON f.entity = "
    "r.entity JOIN %s t ON t.entity = r.refers_to WHERE $1 IN (f.parent, t.parent) AND f.parent IN (SELECT "
    "oid FROM pg_class) AND t.parent IN (SELECT oid FROM pg_class) ORDER BY f.entity, r.column_name";

static List* ReadReferences(Oid schema, Oid parent) {
    MemoryContext caller = CurrentMemoryContext;
    List* references = NIL;
    Oid types[] = {OIDOID};
    Datum values[] = {ObjectIdGetDatum(parent)};
    AsOwner owner = EnterAsOwner(schema);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute_with_args(
        psprintf(kReferences, ExtensionName(schema, "vm_reference"), ExtensionName(schema, "vm_parent"),
                 ExtensionName(schema, "vm_parent")),
        lengthof(types), types, values, NULL, true, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "reading vm_reference failed: %s", SPI_result_code_string(code));
    for (uint64 i = 0; i < SPI_processed; i++) {
        char* text[11];
        for (int k = 0; k < (int)lengthof(text); k++) {
            char* value = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, k + 1);
            text[k] = value ? MemoryContextStrdup(caller, value) : NULL;
        }
        MemoryContext spi = MemoryContextSwitchTo(caller);
        Reference* made = (Reference*)palloc(sizeof(Reference));
        *made = {text[0],
                 text[1],
                 text[2],
                 text[3],
                 SeverityOf(text[4]),
                 SeverityOf(text[5]),
                 text[6][0] == 't',
                 text[7],
                 text[8],
                 (Oid)strtoul(text[9], NULL, 10),
                 (Oid)strtoul(text[10], NULL, 10)};
        references = lappend(references, made);
        MemoryContextSwitchTo(spi);
    }
    SPI_finish();
    LeaveAsOwner(owner);
    return references;
}

// Which columns of both tables must be equal, in SQL: by the unique index of the one that is meant.
struct Pairing {
    char* from_columns;  // a AS k0, b AS k1
    char* to_columns;    // the same of the other table
    char* names;         // k0, k1
    char* match;         // vm_f.k0 = vm_t.k0 AND …
    char* shared;        // of the columns that both tables have, such as tenant and project; or NULL
};

static Oid IndexOfColumn(Oid table, const char* column) {
    SqlArg args[] = {OidArg(OIDOID, table), TextArg(column)};
    SqlResult result = RunSql(
        "SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_attribute a ON "
        "a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]) WHERE i.indrelid = $1 "
        "AND a.attname = $2 AND i.indisunique AND NOT i.indisexclusion AND i.indisvalid AND i.indpred IS "
        "NULL AND i.indexprs IS NULL "
        "ORDER BY i.indisprimary DESC, i.indnkeyatts, c.relname LIMIT 1",
        args, 2, 1);
    return result.found ? DatumGetObjectId(result.value[0]) : InvalidOid;
}

static Oid CollationOf(Oid table, AttrNumber attno) {
    Oid type, collation;
    int32 typmod;
    get_atttypetypmodcoll(table, attno, &type, &typmod, &collation);
    return collation;
}

static char* Joined(char* list, const char* separator, char* item) {
    return list ? psprintf("%s%s%s", list, separator, item) : item;
}

static Pairing PairingOf(const Reference* reference, Relation index) {
    Pairing pairing = {};
    Form_pg_index form = index->rd_index;
    for (int k = 0; k < form->indnkeyatts; k++) {
        char* to_name = get_attname(reference->to, form->indkey.values[k], false);
        bool meant = strcmp(to_name, reference->to_column) == 0;
        const char* from_name = meant ? reference->column : to_name;
        AttrNumber from_attno = get_attnum(reference->from, from_name);
        if (from_attno == InvalidAttrNumber) continue;
        Oid wanted = index->rd_indcollation[k];
        bool plain = CollationOf(reference->from, from_attno) == wanted &&
                     CollationOf(reference->to, form->indkey.values[k]) == wanted;
        char* equal = psprintf(
            "vm_f.k%d %s vm_t.k%d%s", k, IndexEquality(index, k), k,
            plain || !OidIsValid(wanted) ? "" : psprintf(" COLLATE %s", generate_collation_name(wanted)));
        pairing.from_columns =
            Joined(pairing.from_columns, ", ", psprintf("%s AS k%d", quote_identifier(from_name), k));
        pairing.to_columns =
            Joined(pairing.to_columns, ", ", psprintf("%s AS k%d", quote_identifier(to_name), k));
        pairing.names = Joined(pairing.names, ", ", psprintf("k%d", k));
        pairing.match = Joined(pairing.match, " AND ", equal);
        if (!meant) pairing.shared = Joined(pairing.shared, " AND ", equal);
    }
    return pairing;
}

// False if a table that is to be read, as the queries will lock it, has been dropped meanwhile.
static bool Stays(Oid table) {
    Relation rel = try_relation_open(table, AccessShareLock);
    if (rel != NULL) relation_close(rel, NoLock);
    return rel != NULL;
}

// Children that the parent's name does not reach: those of a partitioned parent.
static List* ChildrenApart(Oid schema, Oid parent) {
    List* children = NIL;
    if (get_rel_relkind(parent) != RELKIND_PARTITIONED_TABLE) return children;
    SqlArg args[] = {OidArg(OIDOID, parent)};
    SqlResult result =
        RunAsOwner(schema,
                   psprintf("SELECT array_agg(child::oid ORDER BY child) FROM %s WHERE parent = $1 AND "
                            "child IN (SELECT oid FROM pg_class)",
                            ExtensionName(schema, "vm_child")),
                   args, 1, 1);
    if (result.null[0]) return children;
    Datum* oids;
    int count;
    deconstruct_array(DatumGetArrayTypeP(result.value[0]), OIDOID, sizeof(Oid), true, TYPALIGN_INT, &oids,
                      NULL, &count);
    for (int i = 0; i < count; i++)
        if (Stays(DatumGetObjectId(oids[i]))) children = lappend_oid(children, DatumGetObjectId(oids[i]));
    return children;
}

// The rows of a parent and of children, for FROM: the parent's columns. Without `only` the parent's name
// brings its children; their rows that wait for a document have keys that are made up and meet no other.
static char* RowsOf(Oid parent, bool only, List* children) {
    char* columns = NULL;
    Relation rel = relation_open(parent, AccessShareLock);
    TupleDesc desc = RelationGetDescr(rel);
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        if (!att->attisdropped)
            columns = Joined(columns, ", ", pstrdup(quote_identifier(NameStr(att->attname))));
    }
    bool partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
    relation_close(rel, NoLock);
    char* rows =
        psprintf("SELECT %s FROM %s%s", columns, only && !partitioned ? "ONLY " : "", QualifiedName(parent));
    ListCell* cell;
    foreach (cell, children)
        rows = psprintf("%s UNION ALL SELECT %s FROM ONLY %s WHERE _doc IS NOT NULL", rows, columns,
                        QualifiedName(lfirst_oid(cell)));
    return psprintf("(%s)", rows);
}

// Rows of the other entity, for FROM: all of them, and those of the child's own project, which are asked
// first because they are in two tables, however many children there are. NULL: there is no project, or its
// rows cannot be read apart.
struct OtherRows {
    char* few;
    char* all;
};

static bool HasPolicies(Oid table, Oid role) {
    return check_enable_rls(table, role, true) == RLS_ENABLED;
}

// role: who reads them.
static OtherRows RowsOfOther(Oid schema, Relation child, Oid parent, const char* entity, Oid role) {
    OtherRows rows = {NULL, RowsOf(parent, false, ChildrenApart(schema, parent))};
    SqlArg args[] = {OidArg(OIDOID, RelationGetRelid(child)), TextArg(entity)};
    char* table = ExtensionName(schema, "vm_project_entity");
    SqlResult result = RunAsOwner(
        schema,
        psprintf("SELECT o.child::oid FROM %s m LEFT JOIN %s o ON o.tenant = m.tenant AND o.project = "
                 "m.project AND o.entity = $2 AND o.child IN (SELECT oid FROM pg_class) WHERE m.child "
                 "= $1",
                 table, table),
        args, 2, 1);
    // Read by the parent's name, a child's rows are under the parent's policies; read apart, under its own.
    if (!result.found || HasPolicies(parent, role)) return rows;
    List* sibling = NIL;
    if (!result.null[0] && Stays(DatumGetObjectId(result.value[0]))) {
        Oid oid = DatumGetObjectId(result.value[0]);
        if (pg_class_aclcheck(oid, role, ACL_SELECT) != ACLCHECK_OK || HasPolicies(oid, role)) return rows;
        sibling = list_make1_oid(oid);
    }
    rows.few = RowsOf(parent, true, sibling);
    return rows;
}

// The child's own rows, but not those that wait for their document.
static char* ChildRows(Relation child, const char* columns, const char* not_null) {
    Oid oid = RelationGetRelid(child);
    return psprintf("(SELECT %s, %s AS vm_id, ctid AS vm_ctid FROM ONLY %s WHERE %s IS NOT NULL%s)", columns,
                    get_attnum(oid, "_id") != InvalidAttrNumber ? "_id::text" : "NULL::text",
                    QualifiedName(oid), not_null,
                    get_attnum(oid, "_doc") != InvalidAttrNumber ? " AND _doc IS NOT NULL" : "");
}

static char* Nowhere(const Reference* reference, const Pairing* pairing, Relation child, const char* what,
                     const char* rows) {
    return psprintf(
        "SELECT %s FROM %s vm_f WHERE NOT EXISTS (SELECT FROM (SELECT %s FROM %s child) vm_t WHERE %s)", what,
        ChildRows(child, pairing->from_columns, quote_identifier(reference->column)), pairing->to_columns,
        rows, pairing->match);
}

// Of the rows that refer, those of the child's tenants and projects are counted, in one aggregate.
static char* Differs(const Reference* reference, const Pairing* pairing, Relation child, const char* counted,
                     const char* rows) {
    const char* column = quote_identifier(reference->count_column);
    char* mine =
        ChildRows(child, psprintf("%s, (%s)::numeric AS vm_total", pairing->to_columns, column), column);
    char* where = pairing->shared
                      ? psprintf(
                            " WHERE EXISTS (SELECT FROM (SELECT %s FROM ONLY %s) vm_t WHERE "
                            "%s)",
                            pairing->to_columns, QualifiedName(RelationGetRelid(child)), pairing->shared)
                      : pstrdup("");
    return psprintf(
        "SELECT ARRAY[vm_t.vm_id], 1::bigint FROM %s vm_t LEFT JOIN (SELECT %s, count(*) AS vm_n FROM "
        "(SELECT %s FROM %s child%s) vm_f%s GROUP BY %s) vm_f ON %s GROUP BY vm_t.vm_ctid, vm_t.vm_id, "
        "vm_t.vm_total HAVING vm_t.vm_total <> coalesce(sum(vm_f.vm_n), 0)",
        mine, pairing->names, pairing->from_columns, rows, counted ? psprintf(" WHERE %s", counted) : "",
        where, pairing->names, pairing->match);
}

static Check* ReferenceCheck(const char* kind, const char* column, Severity severity) {
    Check* check = (Check*)palloc0(sizeof(Check));
    check->name = psprintf("%s.%s", kind, column);
    check->severity = severity;
    return check;
}

// What to say of a column that the table lacks, or NULL.
static char* Lacking(Oid table, const char* column) {
    if (get_attnum(table, column) != InvalidAttrNumber) return NULL;
    return psprintf("table %s has no column \"%s\".", QualifiedName(table), column);
}

// SQL for the condition on the rows that are counted, or NULL for all. A shipped one is left out where the
// table lacks its column.
static char* CountedSql(Oid schema, const Reference* reference, Check* check) {
    if (reference->counted == NULL) return NULL;
    char* sql = NULL;
    Relation rel = relation_open(reference->from, AccessShareLock);
    ErrorData* error = TryCondition(schema, reference->counted, rel, ConditionSource(rel, NULL, false), &sql);
    relation_close(rel, NoLock);
    check->stored = !reference->shipped;
    if (error == NULL) return sql;
    if (!reference->shipped || error->sqlerrcode != ERRCODE_UNDEFINED_COLUMN) NoteProblem(check, error);
    return NULL;
}

// What keeps a reference from being asked, or NULL; *missing: the table lacks a column.
static char* Obstacle(const Reference* reference, bool counts, Oid* index, bool* missing) {
    char* lacking = Lacking(reference->from, reference->column);
    if (lacking == NULL) lacking = Lacking(reference->to, reference->to_column);
    if (lacking == NULL && counts) lacking = Lacking(reference->to, reference->count_column);
    *missing = lacking != NULL;
    if (*missing) return lacking;
    *index = IndexOfColumn(reference->to, reference->to_column);
    return OidIsValid(*index) ? NULL
                              : psprintf("no unique index of table %s has the column \"%s\".",
                                         QualifiedName(reference->to), reference->to_column);
}

static void AskNowhere(Check* check, const Reference* reference, const Pairing* pairing, Relation child,
                       const OtherRows* rows) {
    check->hint =
        psprintf("%s and its children have no such %s. Copy that entity too, or mend these at the source.",
                 QualifiedName(reference->to), reference->to_column);
    if (rows->few != NULL)
        check->probe = Nowhere(reference, pairing, child, "NULL::text[], count(*)", rows->few);
    check->query = Nowhere(reference, pairing, child, "ARRAY[vm_f.vm_id], 1::bigint", rows->all);
}

static void AskCount(Check* check, const Reference* reference, const Pairing* pairing, Relation child,
                     const OtherRows* rows, const char* counted) {
    check->hint =
        psprintf("%s and its children have another number of them%s. Let the feed catch up, or count anew.",
                 QualifiedName(reference->from), counted ? psprintf(" (%s)", reference->counted) : "");
    if (rows->few != NULL) check->probe = Differs(reference, pairing, child, counted, rows->few);
    check->query = Differs(reference, pairing, child, counted, rows->all);
}

// One check of a reference on a child: of the counts in the rows that are meant, or of the rows that refer.
// NULL where a shipped one does not fit.
static Check* CheckOf(Oid schema, const Reference* reference, Relation child, bool counts, Oid role) {
    Check* check = counts
                       ? ReferenceCheck("count_differs", reference->count_column, reference->count_severity)
                       : ReferenceCheck("reference_nowhere", reference->column, reference->severity);
    Oid key;
    bool missing;
    char* obstacle = Obstacle(reference, counts, &key, &missing);
    if (obstacle != NULL) {
        check->severity = Severity::Error;
        check->problem = psprintf("It cannot be asked: %s", obstacle);
        return missing && reference->shipped ? NULL : check;
    }
    char* counted = counts ? CountedSql(schema, reference, check) : NULL;
    if (check->problem != NULL) return check;
    Relation index = index_open(key, AccessShareLock);
    Pairing pairing = PairingOf(reference, index);
    index_close(index, NoLock);
    OtherRows rows = RowsOfOther(schema, child, counts ? reference->from : reference->to,
                                 counts ? reference->from_entity : reference->to_entity,
                                 check->stored ? role : GetUserId());
    if (counts)
        AskCount(check, reference, &pairing, child, &rows, counted);
    else
        AskNowhere(check, reference, &pairing, child, &rows);
    return check;
}

List* AppendReferenceChecks(List* checks, Oid schema, Relation child, Oid parent, Oid role) {
    ListCell* cell;
    foreach (cell, ReadReferences(schema, parent)) {
        Reference* reference = (Reference*)lfirst(cell);
        Check* check = reference->from == parent ? CheckOf(schema, reference, child, false, role) : NULL;
        if (check != NULL) checks = lappend(checks, check);
        bool counts = reference->to == parent && reference->count_column != NULL;
        check = counts ? CheckOf(schema, reference, child, true, role) : NULL;
        if (check != NULL) checks = lappend(checks, check);
    }
    return checks;
}
