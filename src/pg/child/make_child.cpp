#include "pg/child/make_child.h"

#include "pg/mapping/plan_cache.h"
#include "pg/server/tables.h"

extern "C" {
#include <catalog/pg_inherits.h>
#include <common/md5.h>
}

// One utility statement; SPI is connected.
static void Run(const char* sql) {
    int code = SPI_execute(sql, false, 0);
    if (code < 0) elog(ERROR, "SPI_execute failed: %s", SPI_result_code_string(code));
}

// One column of the result of a query about the parent, as C strings. SPI is connected. Not read only: that
// would see the parent as it was when the caller's statement began, before its locks were waited for.
static char** Ask(const char* sql, Oid parent, uint64* count) {
    Oid types[] = {OIDOID};
    Datum values[] = {ObjectIdGetDatum(parent)};
    int code = SPI_execute_with_args(sql, 1, types, values, NULL, false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
    *count = SPI_processed;
    char** texts = (char**)palloc(sizeof(char*) * (SPI_processed + 1));
    for (uint64 i = 0; i < SPI_processed; i++)
        texts[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
    return texts;
}

// A name, cut where it is too long, and a hash.
static char* HashedName(const char* name, const char* hashed) {
    constexpr int kHash = 8;
    char hex[33];
    const char* error = NULL;
    if (!pg_md5_hash(hashed, strlen(hashed), hex, &error)) elog(ERROR, "could not hash a name: %s", error);
    int cut = pg_mbcliplen(name, (int)strlen(name), NAMEDATALEN - 1 - kHash - 1);
    return psprintf("%.*s_%.*s", cut, name, kHash, hex);
}

char* ChildName(const char* parent, const char* tenant, const char* project) {
    char* whole = psprintf("%s_%s_%s", parent, tenant, project);
    return strlen(whole) < NAMEDATALEN ? whole : HashedName(whole, whole);
}

char* DistinctChildName(const char* parent, const char* tenant, const char* project) {
    return HashedName(psprintf("%s_%s_%s", parent, tenant, project),
                      psprintf("%zu %s %s", strlen(tenant), tenant, project));
}

static bool IsPartitioned(Relation rel) {
    return rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
}

void CheckParent(Relation rel) {
    if (get_attnum(RelationGetRelid(rel), "_doc") != InvalidAttrNumber)
        ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                        errmsg("table %s is itself a child", RelationGetRelationName(rel)),
                        errdetail("It has a column _doc for a feed's documents."),
                        errhint("Give the table that the application uses as parent.")));
    if (IsPartitioned(rel) || (rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relispartition))
        return;
    ereport(
        ERROR,
        (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
         errmsg("table %s cannot be a parent", RelationGetRelationName(rel)),
         errdetail(
             "Rows move to ordinary and partitioned tables; a partition, a foreign table or a view is none."),
         errhint("In place of a partition give the partitioned table.")));
}

static void CopyIndexes(Oid parent, const char* child) {
    uint64 n;
    // Everything behind the table's name; indexes of constraints that are copied as such come with those.
    char** parts =
        Ask("SELECT format('CREATE %sINDEX ON @ %s', CASE WHEN i.indisunique THEN 'UNIQUE ' END, "
            "  substr(pg_get_indexdef(i.indexrelid), 1 + length(format('CREATE %sINDEX %I ON %s%I.%I ', "
            "    CASE WHEN i.indisunique THEN 'UNIQUE ' END, c.relname, CASE WHEN t.relkind = 'p' THEN 'ONLY "
            "' END, "
            "    CASE WHEN t.relpersistence = 't' THEN 'pg_temp' ELSE n.nspname END, t.relname)))) "
            "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid "
            "JOIN pg_namespace n ON n.oid = t.relnamespace "
            "WHERE i.indrelid = $1 AND i.indisvalid AND NOT i.indisexclusion AND NOT EXISTS (SELECT FROM "
            "pg_constraint k "
            "  WHERE k.conindid = i.indexrelid AND k.conrelid = $1 AND k.contype = 'u') "
            "ORDER BY i.indisprimary DESC, c.relname",
            parent, &n);
    for (uint64 i = 0; i < n; i++) {
        char* at = strchr(parts[i], '@');
        Run(psprintf("%.*s%s%s", (int)(at - parts[i]), parts[i], child, at + 1));
    }
    // A foreign key to a partitioned table has one to each partition beside it, which come by themselves. A
    // primary key WITHOUT OVERLAPS is no index that could be made as such, and _id is the child's primary
    // key.
    char** constraints =
        Ask("SELECT regexp_replace(pg_get_constraintdef(k.oid), '^PRIMARY KEY', 'UNIQUE') FROM pg_constraint "
            "k WHERE k.conrelid = $1 AND (k.contype IN ('u', 'x') OR k.contype = 'f' AND k.confrelid <> "
            "k.conrelid AND k.conparentid = 0 OR k.contype = 'p' AND EXISTS (SELECT FROM pg_index i WHERE "
            "i.indexrelid = k.conindid AND i.indisexclusion)) ORDER BY k.contype, k.conname",
            parent, &n);
    for (uint64 i = 0; i < n; i++) Run(psprintf("ALTER TABLE %s ADD %s", child, constraints[i]));
    char** left_out =
        Ask("SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = $1 AND contype = 'f' AND "
            "confrelid = conrelid ORDER BY 1",
            parent, &n);
    for (uint64 i = 0; i < n; i++)
        ereport(NOTICE,
                (errmsg("foreign key %s is not copied to the child", left_out[i]),
                 errdetail("It refers to the parent itself, and a row still staged is not in the parent.")));
}

// Children do not inherit an identity: they draw from the same sequence.
static void CopyIdentities(Oid parent, const char* child) {
    uint64 n;
    char** defaults = Ask(
        "SELECT format('ALTER COLUMN %I SET DEFAULT nextval(%L)', attname, "
        "pg_get_serial_sequence(attrelid::regclass::text, attname)) "
        "FROM pg_attribute WHERE attrelid = $1 AND attidentity <> '' AND NOT attisdropped ORDER BY attnum",
        parent, &n);
    for (uint64 i = 0; i < n; i++) Run(psprintf("ALTER TABLE ONLY %s %s", child, defaults[i]));
}

// What a child of a partitioned table cannot inherit: whose child it is.
static void NoteParent(Oid schema, Oid child, Oid parent) {
    SqlArg args[] = {OidArg(REGCLASSOID, child), OidArg(REGCLASSOID, parent)};
    RunAsOwner(schema,
               psprintf("INSERT INTO %s (child, parent) VALUES ($1, $2)", ExtensionName(schema, "vm_child")),
               args, 2, 0);
}

static void MakeTable(const NewChild* wanted, const char* child, const char* parent, bool partitioned) {
    // _id is what feeds find a row by; as the primary key it also is the replica identity that logical
    // replication wants. Documents of up to a page stay where the row is: TOAST costs more than the
    // transformation.
    constexpr const char* kStorage = "WITH (toast_tuple_target = 8160)";
    if (partitioned) {
        // Nothing inherits from a partitioned table: the child stands alone, and its rows show once they have
        // moved.
        Run(psprintf(
            "CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED, _id text "
            "PRIMARY KEY, _doc text) %s",
            child, parent, kStorage));
    } else {
        Run(psprintf("CREATE TABLE %s (_id text PRIMARY KEY, _doc text) INHERITS (%s) %s", child, parent,
                     kStorage));
    }
    uint64 n;
    Ask("SELECT name FROM pg_settings WHERE $1 IS NOT NULL AND name = 'default_toast_compression' AND 'lz4' "
        "= ANY (enumvals)",
        wanted->parent, &n);
    if (n > 0) Run(psprintf("ALTER TABLE %s ALTER COLUMN _doc SET COMPRESSION lz4", child));
    CopyIdentities(wanted->parent, child);
    CopyIndexes(wanted->parent, child);
}

// He reads its rows by the parent's name anyway; by its own, conditions can be asked with his rights.
static void LetParentsOwnerRead(Oid parent, const char* child) {
    Oid owner = OwnerOf(parent);
    if (owner == GetUserId()) return;
    Run(psprintf("GRANT SELECT ON %s TO %s", child, quote_identifier(GetUserNameFromId(owner, false))));
}

static void MakeTrigger(const NewChild* wanted, const char* child, const char* parent) {
    const char* mapping = quote_literal_cstr(wanted->mapping);
    char* args = wanted->tenant ? psprintf("%s, %s, %s", mapping, quote_literal_cstr(wanted->tenant),
                                           quote_literal_cstr(wanted->project))
                                : pstrdup(mapping);
    char* serves = wanted->tenant ? psprintf("for tenant %s, project %s", wanted->tenant, wanted->project)
                                  : psprintf("for one project after another, see %s",
                                             ExtensionName(wanted->schema, "vm_project_entity"));
    Run(
        psprintf("CREATE TRIGGER vm_transform BEFORE INSERT OR UPDATE OF _doc ON %s FOR EACH ROW EXECUTE "
                 "FUNCTION %s(%s)",
                 child, ExtensionName(wanted->schema, "vm_transform"), args));
    // Feeds that replicate set session_replication_role to replica, and other triggers are silent then.
    Run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER vm_transform", child));
    Run(psprintf(
        "COMMENT ON TABLE %s IS %s", child,
        quote_literal_cstr(psprintf("child of %s %s; mapping %s", parent, serves, wanted->mapping))));
}

Oid MakeChild(const NewChild* wanted) {
    Relation rel = relation_open(wanted->parent, AccessShareLock);
    CheckParent(rel);
    Oid schema = RelationGetNamespace(rel);
    char* parent = QualifiedName(wanted->parent);
    char* child = quote_qualified_identifier(get_namespace_name(schema), wanted->name);
    if (OidIsValid(get_relname_relid(wanted->name, schema)))
        ereport(ERROR, (errcode(ERRCODE_DUPLICATE_TABLE), errmsg("table %s exists already", child),
                        errhint("Give the child another name as the last argument, or drop the table.")));
    bool partitioned = IsPartitioned(rel);
    relation_close(rel, NoLock);

    SafePath path = EnterSafePath();
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    MakeTable(wanted, child, parent, partitioned);
    MakeTrigger(wanted, child, parent);
    LetParentsOwnerRead(wanted->parent, child);
    SPI_finish();
    LeaveSafePath(path);
    Oid made = get_relname_relid(wanted->name, schema);
    if (partitioned) NoteParent(wanted->schema, made, wanted->parent);

    // A mapping that cannot work is refused now, not with the first document.
    Relation child_rel = relation_open(made, NoLock);
    char* args[] = {(char*)wanted->tenant, (char*)wanted->project};
    CompiledMapping* compiled =
        CompileMapping(wanted->schema, wanted->mapping, child_rel, wanted->tenant ? args : NULL,
                       wanted->tenant ? 2 : -1, CurrentMemoryContext);
    MemoryContextDelete(compiled->context);
    relation_close(child_rel, NoLock);
    return made;
}
