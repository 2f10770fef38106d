// Keys that stand twice: in a child, or in child and parent.
#include "pg/check/check.h"
#include "pg/move/move_target.h"
#include "pg/server/tables.h"

extern "C" {
#include <access/genam.h>
#include <access/stratnum.h>
#include <catalog/pg_index.h>
#include <nodes/nodeFuncs.h>
#include <utils/ruleutils.h>
#include <utils/typcache.h>
}

// A unique index of the parent in SQL; both tables have its columns.
struct KeySql {
    char* name;
    char* columns;    // e1 AS k1, e2 AS k2
    char* grouped;    // k1, k2
    char* predicate;  // of a partial index, else true
    char* not_null;   // e1 IS NOT NULL AND …; true where NULLs are equal
    char* match;      // vm_o.k1 = vm_c.k1 AND …, by the index's own equality
    bool by_default;  // which is what GROUP BY goes by
};

static char* ExpressionOf(Relation index, int k, Oid collation) {
    Datum definition = DirectFunctionCall3(pg_get_indexdef_ext, ObjectIdGetDatum(RelationGetRelid(index)),
                                           Int32GetDatum(k + 1), BoolGetDatum(false));
    char* sql = TextDatumGetCString(definition);
    Oid wanted = index->rd_indcollation[k];
    if (!OidIsValid(wanted) || wanted == collation) return sql;
    return psprintf("(%s COLLATE %s)", sql, generate_collation_name(wanted));
}

static bool EqualByDefault(Relation index, int k) {
    Oid equality = get_opfamily_member(index->rd_opfamily[k], index->rd_opcintype[k], index->rd_opcintype[k],
                                       BTEqualStrategyNumber);
    Oid type = TupleDescAttr(RelationGetDescr(index), k)->atttypid;
    return lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr == equality;
}

static char* PredicateOf(Oid index) {
    SqlArg args[] = {OidArg(OIDOID, index)};
    SqlResult result =
        RunSql("SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = $1", args, 1, 1);
    return result.null[0] ? pstrdup("true") : TextDatumGetCString(result.value[0]);
}

// `letter` tells apart the columns of two indexes in one query.
static KeySql ReadKey(Relation index, char letter) {
    KeySql key = {pstrdup(RelationGetRelationName(index)),
                  pstrdup(""),
                  pstrdup(""),
                  PredicateOf(RelationGetRelid(index)),
                  pstrdup(""),
                  pstrdup(""),
                  true};
    Form_pg_index form = index->rd_index;
    List* expressions = RelationGetIndexExpressions(index);
    ListCell* expression = list_head(expressions);
    for (int k = 0; k < form->indnkeyatts; k++) {
        AttrNumber attno = form->indkey.values[k];
        Oid collation;
        if (attno != 0) {
            Oid type;
            int32 typmod;
            get_atttypetypmodcoll(form->indrelid, attno, &type, &typmod, &collation);
        } else {
            collation = exprCollation((Node*)lfirst(expression));
            expression = lnext(expressions, expression);
        }
        const char* comma = k > 0 ? ", " : "";
        const char* both = k > 0 ? " AND " : "";
        char* sql = ExpressionOf(index, k, collation);
        key.columns = psprintf("%s%s%s AS %c%d", key.columns, comma, sql, letter, k);
        key.grouped = psprintf("%s%s%c%d", key.grouped, comma, letter, k);
        key.by_default &= EqualByDefault(index, k);
        if (form->indnullsnotdistinct) {
            // Arrays with a NULL are equal, and can be hashed.
            key.match =
                psprintf("%s%sARRAY[vm_o.%c%d] = ARRAY[vm_c.%c%d]", key.match, both, letter, k, letter, k);
            key.not_null = pstrdup("true");
        } else {
            key.match = psprintf("%s%svm_o.%c%d %s vm_c.%c%d", key.match, both, letter, k,
                                 IndexEquality(index, k), letter, k);
            key.not_null = psprintf("%s%s%s IS NOT NULL", key.not_null, both, sql);
        }
    }
    return key;
}

// Rows of the child that a key tells apart, but not those that wait for their document: their key is made up.
static char* ChildRows(Relation child, const KeySql* key, const char* more) {
    Oid oid = RelationGetRelid(child);
    bool has_id = get_attnum(oid, "_id") != InvalidAttrNumber;
    bool has_doc = get_attnum(oid, "_doc") != InvalidAttrNumber;
    return psprintf("(SELECT %s%s, %s AS vm_id, ctid AS vm_ctid FROM ONLY %s WHERE (%s) AND %s%s)",
                    key->columns, more, has_id ? "_id::text COLLATE \"C\"" : "NULL::text", QualifiedName(oid),
                    key->predicate, key->not_null, has_doc ? " AND _doc IS NOT NULL" : "");
}

static char* TwiceInChild(Relation child, const KeySql* key) {
    char* rows = ChildRows(child, key, "");
    if (key->by_default)
        return psprintf(
            "SELECT ARRAY[min(vm_id), max(vm_id)], count(*) FROM %s vm_c GROUP BY %s HAVING count(*) > 1",
            rows, key->grouped);
    return psprintf(
        "SELECT ARRAY[vm_c.vm_id], 1::bigint FROM %s vm_c WHERE EXISTS (SELECT FROM %s vm_o WHERE %s "
        "AND vm_o.vm_ctid <> vm_c.vm_ctid)",
        rows, rows, key->match);
}

// Keys of the child that the parent has too. `same` is the key that says which rows are the same, if it is
// another one: such a row of the parent is replaced, so it is in nobody's way.
static char* InParent(const char* what, const char* rows, Oid parent, const KeySql* key, const KeySql* same) {
    bool partitioned = get_rel_relkind(parent) == RELKIND_PARTITIONED_TABLE;
    return psprintf(
        "SELECT %s FROM %s vm_c WHERE EXISTS (SELECT FROM (SELECT %s%s%s FROM %s%s WHERE (%s)) vm_o WHERE "
        "%s%s)",
        what, rows, key->columns, same ? ", " : "", same ? same->columns : "", partitioned ? "" : "ONLY ",
        QualifiedName(parent), key->predicate, key->match,
        same ? psprintf(" AND NOT (%s)", same->match) : "");
}

static void AskParent(Check* check, Relation child, Oid parent, const KeySql* key, const KeySql* same) {
    char* more = same ? psprintf(", %s", same->columns) : pstrdup("");
    char* keys = psprintf("(SELECT %s%s FROM ONLY %s WHERE (%s) AND %s)", key->columns, more,
                          QualifiedName(RelationGetRelid(child)), key->predicate, key->not_null);
    check->probe = InParent("NULL::text[], count(*)", keys, parent, key, same);
    check->query = InParent("ARRAY[vm_c.vm_id], 1::bigint", ChildRows(child, key, more), parent, key, same);
}

static Check* KeyCheck(const char* where, const KeySql* key, char* query, const char* hint) {
    Check* check = (Check*)palloc0(sizeof(Check));
    check->name = psprintf("%s.%s", where, key->name);
    check->severity = Severity::Error;
    check->hint = pstrdup(hint);
    check->query = query;
    return check;
}

List* AppendKeyChecks(List* checks, Relation child, Oid parent) {
    Relation rel = relation_open(parent, AccessShareLock);
    Oid same_index = FindKeyIndex(parent);
    KeySql same = {};
    if (OidIsValid(same_index)) {
        Relation index = index_open(same_index, AccessShareLock);
        same = ReadKey(index, 's');
        index_close(index, NoLock);
    }
    ListCell* cell;
    foreach (cell, RelationGetIndexList(rel)) {
        Oid oid = lfirst_oid(cell);
        Relation index = index_open(oid, AccessShareLock);
        // WITHOUT OVERLAPS is unique too, but not of equal values.
        if (index->rd_index->indisunique && !index->rd_index->indisexclusion && index->rd_index->indisvalid) {
            bool moves_by = oid == same_index;
            KeySql key = ReadKey(index, 'k');
            bool kept_out = UniqueInChild(RelationGetRelid(child), oid);
            checks = lappend(
                checks,
                KeyCheck("duplicate_in_child", &key, kept_out ? NULL : TwiceInChild(child, &key),
                         moves_by ? "Only the newest of each will get to the parent."
                                  : "The parent will take one of each, the others go to vm_quarantine."));
            Check* in_parent =
                KeyCheck("duplicate_in_parent", &key, NULL,
                         moves_by ? "Readers of the parent see both. Move these rows: newer wins."
                                  : "Another row of the parent has this key, and the move will put "
                                    "these rows into vm_quarantine. Mend either.");
            AskParent(in_parent, child, parent, &key, !moves_by && OidIsValid(same_index) ? &same : NULL);
            checks = lappend(checks, in_parent);
        }
        index_close(index, NoLock);
    }
    relation_close(rel, NoLock);
    return checks;
}
