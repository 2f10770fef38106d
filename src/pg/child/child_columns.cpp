#include "pg/child/child_columns.h"

#include "pg/server/tables.h"

extern "C" {
#include <storage/bufmgr.h>
}

// What stands behind a column's type. Identity: the child draws from the same sequence.
static char* DefaultOf(Relation parent, Form_pg_attribute att) {
    SqlArg args[] = {OidArg(OIDOID, RelationGetRelid(parent)), {INT2OID, Int16GetDatum(att->attnum), false}};
    SafePath path = EnterSafePath();
    SqlResult row = RunSql(
        "SELECT CASE WHEN a.attidentity <> '' THEN format(' DEFAULT nextval(%L)', "
        "pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)) ELSE ' DEFAULT ' || "
        "pg_get_expr(d.adbin, d.adrelid) END || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END FROM "
        "pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE "
        "a.attrelid = $1 AND a.attnum = $2",
        args, 2, 1);
    LeaveSafePath(path);
    return row.found && !row.null[0] ? TextOrNull(&row, 0) : pstrdup("");
}

static char* TypeOf(Form_pg_attribute att) {
    SafePath path = EnterSafePath();
    char* type = format_type_with_typemod(att->atttypid, att->atttypmod);
    LeaveSafePath(path);
    if (!OidIsValid(att->attcollation) || att->attcollation == get_typcollation(att->atttypid)) return type;
    HeapTuple tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(att->attcollation));
    if (!HeapTupleIsValid(tuple)) elog(ERROR, "cache lookup failed for collation %u", att->attcollation);
    Form_pg_collation collation = (Form_pg_collation)GETSTRUCT(tuple);
    type = psprintf("%s COLLATE %s", type,
                    quote_qualified_identifier(get_namespace_name(collation->collnamespace),
                                               NameStr(collation->collname)));
    ReleaseSysCache(tuple);
    return type;
}

static bool SameType(Form_pg_attribute a, Form_pg_attribute b) {
    return a->atttypid == b->atttypid && a->atttypmod == b->atttypmod && a->attcollation == b->attcollation;
}

char* ColumnStatements(Relation parent, Relation child) {
    StringInfoData text;
    initStringInfo(&text);
    TupleDesc desc = RelationGetDescr(parent);
    const char* name = QualifiedName(RelationGetRelid(child));
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        // The parent makes what is generated itself.
        if (att->attisdropped || att->attgenerated) continue;
        const char* column = quote_identifier(NameStr(att->attname));
        AttrNumber own = get_attnum(RelationGetRelid(child), NameStr(att->attname));
        if (own == InvalidAttrNumber)
            appendStringInfo(&text, "ALTER TABLE %s ADD COLUMN %s %s%s;\n", name, column, TypeOf(att),
                             DefaultOf(parent, att));
        else if (!SameType(att, TupleDescAttr(RelationGetDescr(child), own - 1)))
            appendStringInfo(&text, "ALTER TABLE %s ALTER COLUMN %s TYPE %s;\n", name, column, TypeOf(att));
    }
    if (text.len == 0) return NULL;
    // The trigger leaves the row of an unchanged document alone: a blank behind it changes no value.
    if (RelationGetNumberOfBlocks(child) > 0)
        appendStringInfo(&text, "UPDATE ONLY %s SET _doc = _doc || ' ';\n", name);
    text.data[text.len - 1] = '\0';
    return text.data;
}

void RequireColumns(Oid parent, Relation child) {
    Relation rel = relation_open(parent, AccessShareLock);
    char* statements = ColumnStatements(rel, child);
    relation_close(rel, NoLock);
    if (statements == NULL) return;
    ereport(ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("the columns of child %s are not those of parent %s any more",
                    QualifiedName(RelationGetRelid(child)), QualifiedName(parent)),
             errdetail("It stands alone, and what its documents have for these columns would be lost."),
             errhint("%s", statements)));
}
