#include "pg/move/move_target.h"

#include "pg/child/is_child.h"
#include "pg/move/move_path.h"
#include "pg/child/child_lock.h"
#include "pg/server/tables.h"
#include "pg/child/child_columns.h"

extern "C" {
#include <catalog/pg_index.h>
#include <parser/parser.h>
#include <storage/lmgr.h>
#include <storage/proc.h>
}

static uint64 generation = 0;  // counts changes of any relation that moves work on
static Oid watched[16];        // the last ones: a move may set off another

// May run at any moment: counts only.
static void OnRelationChange(Datum, Oid relation) {
    bool ours = relation == InvalidOid;
    for (Oid oid : watched) ours |= oid == relation;
    generation += ours;
}

static void Watch(Oid relation) {
    static bool registered = false;
    static int next = 0;
    if (!registered) CacheRegisterRelcacheCallback(OnRelationChange, (Datum)0);
    registered = true;
    for (Oid oid : watched)
        if (oid == relation) return;
    watched[next] = relation;
    next = (next + 1) % lengthof(watched);
}

OnConflict OnConflictOf(const char* word) {
    if (strcmp(word, "newer") == 0) return OnConflict::Newer;
    if (strcmp(word, "overwrite") == 0) return OnConflict::Overwrite;
    if (strcmp(word, "keep") == 0) return OnConflict::Keep;
    if (strcmp(word, "error") == 0) return OnConflict::Error;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("on_conflict cannot be \"%s\"", word),
                    errhint("newer: the greater watermark wins. overwrite: the child's row wins. keep: the "
                            "parent's row stays. error: nothing is moved.")));
}

const char* WordOf(OnConflict on_conflict) {
    static const char* const kWords[] = {"newer", "overwrite", "keep", "error"};
    return kWords[(int)on_conflict];
}

Locking LockingOf(const char* word) {
    if (strcmp(word, "claim") == 0) return Locking::Claim;
    if (strcmp(word, "lock") == 0) return Locking::Lock;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("locking cannot be \"%s\"", word),
                    errhint("claim: a racing writer gets SQLSTATE 40001 and tries again. lock: it waits.")));
}

static char* Appended(char* list, const char* separator, const char* item) {
    return list[0] ? psprintf("%s%s%s", list, separator, item) : pstrdup(item);
}

Oid ParentOf(Oid schema, Oid child) {
    SqlArg args[] = {OidArg(OIDOID, child)};
    SqlResult result = RunSql(
        "SELECT min(inhparent::oid::int8)::oid, count(*) FROM pg_inherits WHERE inhrelid = $1", args, 1, 2);
    if (!result.null[0] && DatumGetInt64(result.value[1]) == 1) return DatumGetObjectId(result.value[0]);
    if (result.null[0]) {
        result =
            RunAsOwner(schema,
                       psprintf("SELECT parent::oid FROM %s WHERE child = $1 AND parent IN (SELECT oid FROM "
                                "pg_class)",
                                ExtensionName(schema, "vm_child")),
                       args, 1, 1);
        if (result.found) return DatumGetObjectId(result.value[0]);
    }
    RefuseParent(schema, child);
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("table %s is no child of exactly one parent", get_rel_name(child)),
                    errhint("Children are made by vm_create_child, or with INHERITS (parent).")));
}

// Unique indexes of a table without predicate, expression, identity or generated column.
static const char* const kUsableKeys =
    "SELECT i.indexrelid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1 "
    "AND i.indisunique AND NOT i.indisexclusion AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL "
    "AND i.indexprs IS NULL "
    "AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = ANY (i.indkey) "
    "AND (a.attidentity <> '' OR a.attgenerated <> '' OR NOT a.attnotnull)) ";

Oid FindKeyIndex(Oid parent) {
    SqlArg args[] = {OidArg(OIDOID, parent)};
    SqlResult result =
        RunSql(psprintf("%s ORDER BY i.indisprimary DESC, c.relname LIMIT 1", kUsableKeys), args, 1, 1);
    return result.found ? DatumGetObjectId(result.value[0]) : InvalidOid;
}

// The same, or the one that was named.
static Oid KeyIndexOf(Relation parent, const char* name) {
    SqlArg args[] = {OidArg(OIDOID, RelationGetRelid(parent)), TextArg(name)};
    if (name != NULL) {
        SqlResult named = RunSql(psprintf("%s AND c.relname = $2", kUsableKeys), args, 2, 1);
        if (named.found) return DatumGetObjectId(named.value[0]);
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             errmsg("\"%s\" is no index of parent %s to move by", name, RelationGetRelationName(parent)),
             errhint("It must be a valid unique index on NOT NULL columns, not deferrable, without WHERE or "
                     "expressions.")));
    }
    Oid key = FindKeyIndex(RelationGetRelid(parent));
    if (!OidIsValid(key))
        ereport(
            ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT),
             errmsg("parent %s has no primary key or unique index to move by",
                    RelationGetRelationName(parent)),
             errdetail("Without one nothing says which rows of child and parent are the same."),
             errhint("Give it a primary key, or a unique index on NOT NULL columns that are no identity.")));
    return key;
}

char* WatermarkSql(const CompiledMapping* compiled, const char* alias) {
    char* list = pstrdup("");
    for (uint32 w = 0; w < compiled->info.watermarks; w++) {
        const ColumnIo* io = compiled->io[compiled->info.watermark[w]];
        char* column = psprintf("%s.%s", alias, quote_identifier(io->name));
        if (io->kind != wall::Kind::TimestampTz)
            column = psprintf("(%s::timestamp AT TIME ZONE 'UTC')", column);
        list = Appended(list, ", ", column);
    }
    return list[0] ? psprintf("GREATEST(%s)", list) : pstrdup("NULL::pg_catalog.timestamptz");
}

// The keys of two unique indexes as sets: in another order they still keep out the same.
static const char* const kSameKey =
    "SELECT true FROM pg_index c JOIN pg_index p ON c.indnkeyatts = p.indnkeyatts "
    "AND c.indnullsnotdistinct = p.indnullsnotdistinct "
    "AND pg_get_expr(c.indpred, c.indrelid) IS NOT DISTINCT FROM pg_get_expr(p.indpred, p.indrelid) "
    "WHERE c.indrelid = $1 AND p.indexrelid = $2 AND c.indisunique AND NOT c.indisexclusion AND c.indisvalid "
    "AND c.indimmediate "
    "AND NOT EXISTS (SELECT pg_get_indexdef(c.indexrelid, k + 1, false), c.indclass[k], c.indcollation[k] "
    "FROM generate_series(0, c.indnkeyatts - 1) k EXCEPT ALL "
    "SELECT pg_get_indexdef(p.indexrelid, k + 1, false), p.indclass[k], p.indcollation[k] "
    "FROM generate_series(0, p.indnkeyatts - 1) k) LIMIT 1";

bool UniqueInChild(Oid child, Oid index) {
    SqlArg args[] = {OidArg(OIDOID, child), OidArg(OIDOID, index)};
    return RunSql(kSameKey, args, 2, 1).found;
}

// Whether the child has an index to find the rows of a key by.
static bool KeyIsIndexed(Oid child, Oid key) {
    SqlArg args[] = {OidArg(OIDOID, child), OidArg(OIDOID, key)};
    return RunSql(
               "SELECT true FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = "
               "i.indkey[0] "
               "WHERE i.indrelid = $1 AND i.indisvalid AND i.indpred IS NULL AND a.attname IN (SELECT "
               "b.attname FROM "
               "pg_index k JOIN pg_attribute b ON b.attrelid = k.indrelid AND b.attnum = ANY "
               "(k.indkey[0:k.indnkeyatts "
               "- 1]) WHERE k.indexrelid = $2)",
               args, 2, 1)
        .found;
}

// Checked for each row inside the batch's subtransaction, not at the commit, where no row could be blamed.
static char* DeferredConstraints(Oid parent) {
    SqlArg args[] = {OidArg(OIDOID, parent)};
    SqlResult result = RunSql(
        "SELECT string_agg(DISTINCT format('%I.%I', n.nspname, k.conname), ', ') FROM pg_constraint k JOIN "
        "pg_namespace n ON n.oid = k.connamespace WHERE k.conrelid = $1 AND k.condeferred",
        args, 1, 1);
    return result.null[0] ? NULL : TextDatumGetCString(result.value[0]);
}

static char* ConflictClause(const MoveTarget* target, const char* set) {
    const CompiledMapping* compiled = target->compiled;
    const char* key = target->key;
    char* excluded = WatermarkSql(compiled, "excluded");
    if (set[0] == '\0') return psprintf("ON CONFLICT (%s) DO NOTHING", key);
    switch (target->options.on_conflict) {
        case OnConflict::Overwrite: return psprintf("ON CONFLICT (%s) DO UPDATE SET %s", key, set);
        case OnConflict::Newer:
            if (compiled->info.watermarks == 0) break;
            return psprintf(
                "ON CONFLICT (%s) DO UPDATE SET %s WHERE %s OPERATOR(pg_catalog.>) %s OR (%s IS NULL AND %s "
                "IS NOT NULL)",
                key, set, excluded, target->watermark_p, target->watermark_p, excluded);
        default: break;
    }
    return psprintf("ON CONFLICT (%s) DO NOTHING", key);
}

// Values go from one table to the other as they are.
static void CheckSameType(const MoveTarget* target, Form_pg_attribute parent, Form_pg_attribute child) {
    if (parent->atttypid == child->atttypid && parent->atttypmod == child->atttypmod &&
        parent->attcollation == child->attcollation)
        return;
    const char* name = quote_identifier(NameStr(parent->attname));
    const char* type = format_type_with_typemod(parent->atttypid, parent->atttypmod);
    ereport(ERROR,
            (errcode(ERRCODE_DATATYPE_MISMATCH),
             errmsg("column %s is %s in parent %s, and %s in child %s", name, type, target->parent_name,
                    format_type_with_typemod(child->atttypid, child->atttypmod), target->child_name),
             errhint("ALTER TABLE %s ALTER COLUMN %s TYPE %s.", target->child_name, name, type)));
}

// Of the child alone: what feeds write.
bool IsFeedsOwn(const MoveTarget* target, const char* name) {
    return (strcmp(name, "_id") == 0 || strcmp(name, "_doc") == 0) &&
           get_attnum(target->parent_oid, name) == InvalidAttrNumber;
}

// The name of a column that the parent does not have.
static char* FreeColumn(Oid parent) {
    char* name = pstrdup("vm_n");
    while (get_attnum(parent, name) != InvalidAttrNumber) name = psprintf("%s_", name);
    return name;
}

static void BuildSql(MoveTarget* target) {
    Relation child = target->child, parent = target->parent;
    TupleDesc desc = RelationGetDescr(parent);
    char* set = pstrdup("");
    target->columns = target->compared = target->key = target->match = target->child_columns = set;
    target->child_name = QualifiedName(RelationGetRelid(child));
    target->parent_name = QualifiedName(RelationGetRelid(parent));
    target->partitioned = parent->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
    target->parent_only =
        target->partitioned ? target->parent_name : psprintf("ONLY %s", target->parent_name);
    target->map = (AttrNumber*)palloc0(sizeof(AttrNumber) * (desc->natts + 1));
    target->row = CreateTemplateTupleDesc(desc->natts + 1);

    Oid key_index = KeyIndexOf(parent, target->options.key_index);
    target->unique = UniqueInChild(RelationGetRelid(child), key_index);
    target->same_keys = !target->unique && KeyIsIndexed(RelationGetRelid(child), key_index);
    Relation index = relation_open(key_index, AccessShareLock);
    Form_pg_index key = index->rd_index;
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        TupleDescCopyEntry(target->row, i + 1, desc, i + 1);
        if (att->attisdropped || att->attgenerated) continue;
        const char* name = quote_identifier(NameStr(att->attname));
        target->map[i] = get_attnum(RelationGetRelid(child), NameStr(att->attname));
        if (target->map[i] == InvalidAttrNumber)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                            errmsg("child %s has no column %s", target->child_name, name),
                            errhint("%s", ColumnStatements(parent, child))));
        CheckSameType(target, att, TupleDescAttr(RelationGetDescr(child), target->map[i] - 1));
        target->needed = Max(target->needed, target->map[i]);
        target->columns = Appended(target->columns, ", ", name);
        if (att->attidentity) continue;  // the parent's row keeps its own
        target->compared = Appended(target->compared, ", ", name);
        int k = 0;
        while (k < key->indnkeyatts && key->indkey.values[k] != att->attnum) k++;
        if (k < key->indnkeyatts) {
            target->key = Appended(target->key, ", ", name);
            target->match = Appended(target->match, " AND ",
                                     psprintf("vm_p.%s %s vm_c.%s", name, IndexEquality(index, k), name));
        } else {
            set = Appended(set, ", ", psprintf("%s = excluded.%s", name, name));
        }
    }
    relation_close(index, AccessShareLock);
    target->number = FreeColumn(target->parent_oid);
    TupleDescInitEntry(target->row, desc->natts + 1, target->number, INT4OID, -1, 0);

    desc = RelationGetDescr(child);
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        const char* name = NameStr(att->attname);
        if (strcmp(name, "_id") == 0) target->has_id = true;
        if (att->attisdropped || IsFeedsOwn(target, name)) continue;
        target->child_columns =
            Appended(target->child_columns, ", ", psprintf("vm_c.%s", quote_identifier(name)));
    }
    target->watermark_c = WatermarkSql(target->compiled, "vm_c");
    target->watermark_p = WatermarkSql(target->compiled, "vm_p");
    target->order = psprintf("%s DESC NULLS LAST, %s DESC", target->watermark_c, target->number);
    target->conflict_clause = ConflictClause(target, set);
    target->deferred = DeferredConstraints(RelationGetRelid(parent));
}

static void CheckChild(Relation child) {
    const char* name = RelationGetRelationName(child);
    if (child->rd_rel->relkind != RELKIND_RELATION || child->rd_rel->relispartition)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("table %s cannot be moved from", name),
                        errdetail("A child is an ordinary table, and no partition.")));
    if (get_attnum(RelationGetRelid(child), "_doc") == InvalidAttrNumber)
        ereport(ERROR,
                (errcode(ERRCODE_UNDEFINED_COLUMN), errmsg("table %s has no column _doc", name),
                 errhint("A child has the columns _id and _doc beside its parent's; see vm_create_child.")));
}

static void OnFilterSyntax(void*) {
    errposition(0);
    errcontext("filter of the move");
}

// One condition, not several statements.
static void CheckFilter(const char* filter) {
    if (filter == NULL) return;
    ErrorContextCallback callback = {error_context_stack, OnFilterSyntax, NULL};
    error_context_stack = &callback;
    (void)raw_parser(filter, RAW_PARSE_PLPGSQL_EXPR);
    error_context_stack = callback.previous;
}

// Locks and opens the child; NULL if it is gone.
static Relation OpenChild(const MoveTarget* target) {
    if (target->locking != Locking::Lock) return try_relation_open(target->child_oid, RowExclusiveLock);
    // This one is in nobody's way but autovacuum's, which gives in after deadlock_timeout.
    int nest = NewGUCNestLevel();
    int enough = DeadlockTimeout + 500;
    if (LockTimeout > 0 && LockTimeout < enough) LimitLockWait(enough);
    LockRelationOid(target->child_oid, ShareUpdateExclusiveLock);
    AtEOXact_GUC(true, nest);
    return try_relation_open(target->child_oid, ExclusiveLock);
}

// Whether child and parent are what they were. A schema that is renamed tells nobody.
static bool IsCurrent(const MoveTarget* target) {
    return target->generation == generation &&
           strcmp(target->child_name, QualifiedName(target->child_oid)) == 0 &&
           strcmp(target->parent_name, QualifiedName(target->parent_oid)) == 0;
}

MoveTarget* BuildTarget(Oid schema, Oid child, const MoveOptions* options, MemoryContext parent) {
    MemoryContext context = AllocSetContextCreate(parent, "voucher_migrate move", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    MoveTarget* target = (MoveTarget*)palloc0(sizeof(MoveTarget));
    target->context = context;
    constexpr Size kKept = 2 * 1024 * 1024;
    target->rows =
        AllocSetContextCreate(context, "voucher_migrate batch", kKept, kKept, ALLOCSET_DEFAULT_MAXSIZE);
    target->schema = schema;
    target->options = *options;
    target->options.filter = options->filter ? pstrdup(options->filter) : NULL;
    target->options.key_index = options->key_index ? pstrdup(options->key_index) : NULL;
    target->child_oid = child;
    // No more than a look: a stronger lock later would be an upgrade, and two of them a deadlock.
    target->child = relation_open(child, AccessShareLock);
    char* mapping = MappingOfChild(schema, target->child, NULL, NULL);
    if (mapping == NULL) RaiseNoTrigger(schema, child);
    CheckChild(target->child);
    CheckFilter(options->filter);
    SafePath path = EnterSafePath();
    target->parent_oid = ParentOf(schema, child);
    target->parent = relation_open(target->parent_oid, AccessShareLock);
    Watch(child);
    Watch(target->parent_oid);
    Watch(ExtensionTable(schema, "vm_mapping"));
    target->generation = generation;
    target->compiled = CompileMapping(schema, mapping, target->child, NULL, -1, context);
    BuildSql(target);
    LeaveSafePath(path);
    ChoosePath(target);
    CloseTarget(target);
    MemoryContextSwitchTo(caller);
    return target;
}

void OpenTarget(MoveTarget** given) {
    for (;;) {
        MoveTarget* target = *given;
        target->child = OpenChild(target);
        if (target->child == NULL)
            ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                            errmsg("child %s was dropped while its rows moved", target->child_name)));
        target->parent = relation_open(target->parent_oid, RowExclusiveLock);
        if (IsCurrent(target)) return;
        CloseTarget(target);
        *given = BuildTarget(target->schema, target->child_oid, &target->options,
                             MemoryContextGetParent(target->context));
        MemoryContextDelete(target->context);
    }
}

void CloseTarget(MoveTarget* target) {
    relation_close(target->parent, NoLock);
    relation_close(target->child, NoLock);
    target->parent = target->child = NULL;
}
