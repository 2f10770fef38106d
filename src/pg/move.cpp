// vm_move_batch: rows of a child to its parent, newer wins, nothing vanishes.
//
// The child is locked EXCLUSIVE for the transaction: writers through the parent wait and then find the row in
// its new place, where a plain DELETE would let their update vanish.
#include "pg/compat.h"
#include "pg/plan_cache.h"
#include "pg/tables.h"

extern "C" {
#include <catalog/pg_index.h>
#include <catalog/pg_inherits.h>
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_move_batch);
}

// The SQL fragments a move is made of; every name quoted.
struct MoveSql {
    char* child;         // qualified
    char* parent;        // qualified
    char* columns;       // a, b, c: those of the parent that are not generated
    char* compared;      // the same without identities, which are another each time
    char* key;           // columns of the arbiter
    char* set;           // a = excluded.a, …; empty if all are keys
    char* newer;         // excluded is newer than p
    char* order;         // newest first, within a key
    char* match;         // s.k = w.k AND …
    char* match_parent;  // p.k = c.k AND …
    char* watermark_c;   // watermark of the child's row c, a timestamptz or NULL
    char* watermark_p;
    bool unique;  // the child itself has a unique index on the key
};

static char* Appended(char* list, const char* separator, const char* item) {
    return list[0] ? psprintf("%s%s%s", list, separator, item) : pstrdup(item);
}

static Oid ParentOf(Oid child) {
    SqlArg args[] = {OidArg(OIDOID, child)};
    SqlResult result = RunSql(
        "SELECT min(inhparent::oid::int8)::oid, count(*) FROM pg_inherits WHERE inhrelid = $1", args, 1, 2);
    if (result.null[0] || DatumGetInt64(result.value[1]) != 1)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                        errmsg("table %s is no child of exactly one parent", get_rel_name(child)),
                        errhint("Children are made by vm_create_child, or with INHERITS (parent).")));
    return DatumGetObjectId(result.value[0]);
}

// The unique index that decides which rows are the same: the primary key, else the first unique index without
// predicate, expression, identity column or column that may be NULL.
static Oid ArbiterOf(Oid parent) {
    SqlArg args[] = {OidArg(OIDOID, parent)};
    SqlResult result = RunSql(
        "SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 "
        "AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL "
        "AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = ANY (i.indkey) "
        "AND (a.attidentity <> '' OR a.attgenerated <> '' OR NOT a.attnotnull)) ORDER BY i.indisprimary "
        "DESC, c.relname LIMIT 1",
        args, 1, 1);
    if (!result.found)
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             errmsg("parent %s has no primary key or unique index to move by", get_rel_name(parent)),
             errdetail("Without one nothing says which rows of child and parent are the same."),
             errhint("Give it a primary key, or a unique index on NOT NULL columns that are no identity.")));
    return DatumGetObjectId(result.value[0]);
}

// GREATEST over the mapping's watermark columns of the row `alias`, as timestamptz in UTC.
static char* Watermark(const CompiledMapping* compiled, const char* alias) {
    char* list = pstrdup("");
    for (uint32 w = 0; w < compiled->info.watermarks; w++) {
        const ColumnIo* io = compiled->io[compiled->info.watermark[w]];
        char* column = psprintf("%s.%s", alias, quote_identifier(io->name));
        if (io->kind != wall::Kind::TimestampTz)
            column = psprintf("(%s::timestamp AT TIME ZONE 'UTC')", column);
        list = Appended(list, ", ", column);
    }
    return list[0] ? psprintf("GREATEST(%s)", list) : pstrdup("NULL::timestamptz");
}

static bool UniqueInChild(Oid child, Oid arbiter) {
    SqlArg args[] = {OidArg(OIDOID, child), OidArg(OIDOID, arbiter)};
    return RunSql(
               "WITH keys AS (SELECT i.indexrelid, i.indrelid, (SELECT array_agg(a.attname ORDER BY "
               "a.attname) "
               "FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY "
               "(i.indkey[0:i.indnkeyatts - 1])) "
               "AS names FROM pg_index i WHERE i.indexrelid = $2 OR (i.indrelid = $1 AND i.indisunique AND "
               "i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL)) "
               "SELECT true FROM keys c JOIN keys p ON c.names = p.names WHERE c.indrelid = $1 AND "
               "p.indexrelid = $2",
               args, 2, 1)
        .found;
}

static MoveSql BuildSql(const CompiledMapping* compiled, Relation child, Relation parent) {
    MoveSql sql = {};
    sql.columns = sql.compared = sql.key = sql.set = sql.match = sql.match_parent = pstrdup("");
    sql.child = QualifiedName(RelationGetRelid(child));
    sql.parent = QualifiedName(RelationGetRelid(parent));

    Oid arbiter = ArbiterOf(RelationGetRelid(parent));
    sql.unique = UniqueInChild(RelationGetRelid(child), arbiter);
    Relation index = relation_open(arbiter, AccessShareLock);
    Form_pg_index key = index->rd_index;
    TupleDesc desc = RelationGetDescr(parent);
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        if (att->attisdropped || att->attgenerated) continue;
        const char* name = quote_identifier(NameStr(att->attname));
        int k = 0;
        while (k < key->indnkeyatts && key->indkey.values[k] != att->attnum) k++;
        sql.columns = Appended(sql.columns, ", ", name);
        if (att->attidentity) continue;  // the parent's row keeps its own
        sql.compared = Appended(sql.compared, ", ", name);
        if (k < key->indnkeyatts) {
            char* equals = IndexEquality(index, k);
            sql.key = Appended(sql.key, ", ", name);
            sql.match = Appended(sql.match, " AND ", psprintf("vm_s.%s %s vm_w.%s", name, equals, name));
            sql.match_parent =
                Appended(sql.match_parent, " AND ", psprintf("vm_p.%s %s vm_c.%s", name, equals, name));
        } else {
            sql.set = Appended(sql.set, ", ", psprintf("%s = excluded.%s", name, name));
        }
    }
    relation_close(index, AccessShareLock);

    sql.watermark_c = Watermark(compiled, "vm_c");
    sql.watermark_p = Watermark(compiled, "vm_p");
    char* excluded = Watermark(compiled, "excluded");
    sql.newer = compiled->info.watermarks == 0
                    ? pstrdup("false")
                    : psprintf("(%s > %s OR (%s IS NULL AND %s IS NOT NULL))", excluded, sql.watermark_p,
                               sql.watermark_p, excluded);
    sql.order = psprintf("%s DESC NULLS LAST, vm_c.ctid DESC", sql.watermark_c);
    return sql;
}

// Up to batch_size rows that have their document, as a tid[]; the caller's filter sees the caller's
// search_path.
static SqlResult ChooseRows(const MoveSql* sql, int batch_size, const char* filter) {
    SqlArg args[] = {{INT8OID, Int64GetDatum(batch_size), false}};
    return RunSql(
        psprintf(
            "SELECT pg_catalog.array_agg(vm_b.vm_tid), pg_catalog.count(*) FROM (SELECT vm_a.vm_tid FROM "
            "(SELECT ctid AS vm_tid, _doc AS vm_doc FROM ONLY %s WHERE %s\n) vm_a "
            "WHERE vm_a.vm_doc IS NOT NULL LIMIT $1) vm_b",
            sql->child, filter ? filter : "true"),
        args, 1, 2);
}

// Writes the rows that lost to vm_anomaly, unless they are what the parent already has.
static void RecordLosers(const CompiledMapping* compiled, const MoveSql* sql, Relation child, Datum losers) {
    Oid types[] = {TIDARRAYOID};
    Datum values[] = {losers};
    bool has_id = get_attnum(RelationGetRelid(child), "_id") != InvalidAttrNumber;
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    char* query = psprintf(
        "SELECT %s, %s, %s, to_jsonb(vm_c) - '{_id,_doc}'::text[], to_jsonb(vm_p), vm_c._doc::text "
        "FROM ONLY %s vm_c LEFT JOIN ONLY %s vm_p ON %s WHERE vm_c.ctid = ANY ($1) AND "
        "(SELECT vm_x::text FROM (SELECT %s FROM (SELECT vm_c.*) vm_y) vm_x) IS DISTINCT FROM "
        "(SELECT vm_x::text FROM (SELECT %s FROM (SELECT vm_p.*) vm_y) vm_x)",
        has_id ? "vm_c._id::text" : "NULL", sql->watermark_c, sql->watermark_p, sql->child, sql->parent,
        sql->match_parent, sql->compared, sql->compared);
    if (SPI_execute_with_args(query, 1, types, values, NULL, false, 0) != SPI_OK_SELECT)
        elog(ERROR, "reading rows that lost failed");
    SPITupleTable* rows = SPI_tuptable;
    char* insert = psprintf(
        "INSERT INTO %s AS a (child, mapping, _id, kind, incoming_time, stored_time, incoming, stored, "
        "incoming_doc) VALUES ($1, $2, $3, 'move_conflict', $4, $5, $6, $7, $8) "
        "ON CONFLICT (child, coalesce(_id, ''), kind, md5(incoming_doc)) WHERE resolved_at IS NULL "
        "DO UPDATE SET times_seen = a.times_seen + 1, last_seen_at = clock_timestamp()",
        ExtensionName(compiled->schema, "vm_anomaly"));
    for (uint64 i = 0; i < rows->numvals; i++) {
        Oid column_types[] = {TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, JSONBOID, JSONBOID, TEXTOID};
        SqlArg args[8] = {OidArg(REGCLASSOID, RelationGetRelid(child)), TextArg(compiled->mapping)};
        for (int k = 0; k < 6; k++) {
            args[k + 2].type = column_types[k];
            args[k + 2].value = SPI_getbinval(rows->vals[i], rows->tupdesc, k + 1, &args[k + 2].null);
        }
        AsOwner owner = EnterAsOwner(compiled->schema);
        RunSql(insert, args, 8, 0);
        LeaveAsOwner(owner);
    }
    SPI_finish();
}

struct Moved {
    int64 inserted;
    int64 updated;
    int64 kept;
};

static Moved MoveRows(const CompiledMapping* compiled, const MoveSql* sql, Relation child, Datum tids,
                      int64 count) {
    SqlArg args[] = {{TIDARRAYOID, tids, false}, {INT8OID, Int64GetDatum(count), false}};
    char* conflict =
        sql->set[0] ? psprintf("DO UPDATE SET %s WHERE %s", sql->set, sql->newer) : pstrdup("DO NOTHING");
    // Of several rows with one key the newest goes; what is older is a loser like any other. Where a unique
    // index of the child rules them out, nothing needs to be sorted. Losers are looked for only if the counts
    // say so.
    char* source =
        psprintf("SELECT %s%s%s vm_c.ctid AS vm_tid, %s FROM ONLY %s vm_c WHERE vm_c.ctid = ANY ($1)%s%s%s%s",
                 sql->unique ? "" : "DISTINCT ON (", sql->unique ? "" : sql->key, sql->unique ? "" : ")",
                 sql->columns, sql->child, sql->unique ? "" : " ORDER BY ", sql->unique ? "" : sql->key,
                 sql->unique ? "" : ", ", sql->unique ? "" : sql->order);
    SqlResult result = RunSql(
        psprintf("WITH vm_s AS %s MATERIALIZED (%s), "
                 "vm_w AS (INSERT INTO %s AS vm_p (%s) OVERRIDING SYSTEM VALUE SELECT %s FROM vm_s ON "
                 "CONFLICT (%s) %s "
                 "RETURNING %s, vm_p.xmax::text = '0' AS vm_inserted) "
                 "SELECT count(*) FILTER (WHERE vm_inserted), count(*) FILTER (WHERE NOT vm_inserted), "
                 "CASE WHEN count(*) < $2 THEN (SELECT array_agg(vm_t) FROM unnest($1) vm_t WHERE NOT EXISTS "
                 "(SELECT FROM vm_s JOIN vm_w ON %s WHERE vm_s.vm_tid = vm_t)) END FROM vm_w",
                 sql->unique ? "NOT" : "", source, sql->parent, sql->columns, sql->columns, sql->key,
                 conflict, sql->key, sql->match),
        args, 2, 3);
    Moved moved = {DatumGetInt64(result.value[0]), DatumGetInt64(result.value[1]), 0};
    moved.kept = count - moved.inserted - moved.updated;
    if (moved.kept > 0) RecordLosers(compiled, sql, child, result.value[2]);
    uint64 deleted =
        RunSql(psprintf("DELETE FROM ONLY %s WHERE ctid = ANY ($1)", sql->child), args, 1, 0).rows;
    if (deleted != (uint64)count)
        ereport(ERROR, (errcode(ERRCODE_DATA_CORRUPTED),
                        errmsg("only " UINT64_FORMAT " of " INT64_FORMAT " moved rows left child %s", deleted,
                               count, sql->child),
                        errhint("A DELETE trigger or a policy of the child keeps them; nothing was moved.")));
    return moved;
}

extern "C" {

// vm_move_batch(child, batch_size, filter) → (moved, inserted, updated, kept), moved = inserted + updated +
// kept
Datum vm_move_batch(PG_FUNCTION_ARGS) {
    TupleDesc result_desc;
    if (get_call_result_type(fcinfo, NULL, &result_desc) != TYPEFUNC_COMPOSITE)
        elog(ERROR, "return type must be a row type");
    RequireArguments(fcinfo, 2);
    int batch_size = PG_GETARG_INT32(1);
    if (batch_size < 1)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("batch_size must be at least 1")));
    PreventCommandIfReadOnly("vm_move_batch()");
    if (IsolationUsesXactSnapshot())
        ereport(ERROR,
                (errcode(ERRCODE_FEATURE_NOT_SUPPORTED), errmsg("rows can be moved only at READ COMMITTED"),
                 errdetail("An older snapshot would show rows where they no longer are."),
                 errhint("BEGIN ISOLATION LEVEL READ COMMITTED.")));
    char* filter = PG_ARGISNULL(2) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(2));
    Oid schema = ExtensionSchema(fcinfo);

    Relation child = relation_open(PG_GETARG_OID(0), AccessShareLock);
    char* mapping = MappingOfChild(schema, child, NULL, NULL);
    if (mapping == NULL)
        ereport(ERROR,
                (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                 errmsg("table %s has no transform trigger", RelationGetRelationName(child)),
                 errhint("The trigger names the mapping, and the mapping says which rows are newer.")));
    SafePath path = EnterSafePath();
    Relation parent = relation_open(ParentOf(RelationGetRelid(child)), AccessShareLock);
    CompiledMapping* compiled = CompileMapping(schema, mapping, child, NULL, -1, CurrentMemoryContext);
    MoveSql sql = BuildSql(compiled, child, parent);
    RunSql(psprintf("LOCK TABLE ONLY %s IN EXCLUSIVE MODE", sql.child), NULL, 0, 0);
    LeaveSafePath(path);
    SqlResult chosen = ChooseRows(&sql, batch_size, filter);
    path = EnterSafePath();
    int64 count = DatumGetInt64(chosen.value[1]);
    Moved moved = {0, 0, 0};
    if (count > 0) moved = MoveRows(compiled, &sql, child, chosen.value[0], count);
    LeaveSafePath(path);
    relation_close(parent, AccessShareLock);
    relation_close(child, AccessShareLock);
    MemoryContextDelete(compiled->context);

    Datum values[] = {Int64GetDatum(count), Int64GetDatum(moved.inserted), Int64GetDatum(moved.updated),
                      Int64GetDatum(moved.kept)};
    bool nulls[] = {false, false, false, false};
    PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(result_desc), values, nulls)));
}
}
