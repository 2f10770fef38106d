// Rules of checks: define, drop, and as a script for the source.
#include "pg/server/caught.h"
#include "pg/check/check.h"
#include "pg/check/check_condition.h"
#include "pg/server/compat.h"
#include "pg/mapping/mapping_use.h"
#include "pg/mapping/plan_cache.h"
#include "pg/server/tables.h"

extern "C" {
#include <catalog/namespace.h>
#include <utils/varlena.h>

PG_FUNCTION_INFO_V1(vm_define_check);
PG_FUNCTION_INFO_V1(vm_drop_check);
PG_FUNCTION_INFO_V1(vm_source_checks);
}

static void CheckName(const char* name) {
    static const char* const built_in[] = {"open_quarantine", "unresolved_anomalies"};
    if (name[0] == '\0')
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a check needs a name")));
    static const char* const prefixes[] = {"duplicate_in_", "reference_nowhere.", "count_differs."};
    bool taken = false;
    for (const char* prefix : prefixes) taken |= strncmp(name, prefix, strlen(prefix)) == 0;
    for (const char* word : built_in) taken |= strcmp(name, word) == 0;
    if (taken)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("check \"%s\" is built in", name),
                        errhint("Give yours another name.")));
}

void CheckSeverity(const char* what, const char* severity) {
    if (strcmp(severity, "error") == 0 || strcmp(severity, "warning") == 0 || strcmp(severity, "info") == 0)
        return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("%s: severity cannot be \"%s\"", what, severity),
                    errhint("It is error, warning or info.")));
}

// What a rule applies to: a mapping, a parent, or neither for all.
struct Target {
    char* mapping;
    Oid parent;
};

static Target TargetOf(Oid schema, const char* name, text* applies_to) {
    Target target = {NULL, InvalidOid};
    if (applies_to == NULL) return target;
    char* word = text_to_cstring(applies_to);
    if (MappingRules(schema, word) != NULL) {
        target.mapping = word;
        return target;
    }
    RangeVar* table = makeRangeVarFromNameList(textToQualifiedNameList(applies_to));
    target.parent = RangeVarGetRelid(table, AccessShareLock, true);
    if (!OidIsValid(target.parent))
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                 errmsg("check \"%s\": \"%s\" is neither a mapping nor a table", name, word),
                 errhint("Give a mapping, a parent, or NULL for all children that have the columns.")));
    if (get_attnum(target.parent, "_doc") != InvalidAttrNumber)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("check \"%s\": table \"%s\" is itself a child", name, word),
                        errhint("Give its parent or its mapping.")));
    return target;
}

// Some child with a mapping, or InvalidOid.
static Oid ChildWith(Oid schema, const char* mapping) {
    SqlArg args[] = {TextArg(mapping), OidArg(OIDOID, schema)};
    SqlResult child = RunSql(
        "SELECT t.tgrelid FROM pg_trigger t JOIN pg_proc f ON f.oid = t.tgfoid WHERE " VM_TRIGGER_OF_MAPPING
        " ORDER BY 1 LIMIT 1",
        args, 2, 1);
    return child.found ? DatumGetObjectId(child.value[0]) : InvalidOid;
}

// The registered parents with a mapping, as an oid[]; NULL: none.
static ArrayType* ParentsWith(Oid schema, const char* mapping) {
    SqlArg args[] = {TextArg(mapping)};
    SqlResult row =
        RunAsOwner(schema,
                   psprintf("SELECT array_agg(parent::oid ORDER BY move_order) FROM %s WHERE mapping = "
                            "$1 AND parent IN (SELECT oid FROM pg_class)",
                            ExtensionName(schema, "vm_parent")),
                   args, 1, 1);
    return row.null[0] ? NULL : DatumGetArrayTypeP(row.value[0]);
}

[[noreturn]] static void RaiseMisfit(const char* name, const char* about, const ErrorData* error) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             about ? errmsg("check \"%s\": the condition does not fit table %s", name, about)
                   : errmsg("check \"%s\": the condition cannot be read", name),
             errdetail("%s", ReadableMessage(error)),
             errhint("A condition is one boolean expression over the columns of the child, named child where "
                     "that is needed; other names outside pg_catalog must be qualified.")));
}

// `stand_in`: it is a parent, and has not all columns of its children.
static void TryOn(const char* name, const char* condition, Oid schema, Oid table, bool stand_in) {
    Relation rel = try_relation_open(table, AccessShareLock);
    if (rel == NULL) return;
    char* sql;
    char* source = ConditionSource(rel, "NULL::timestamptz", stand_in);
    ErrorData* error = TryCondition(schema, condition, rel, source, &sql);
    relation_close(rel, NoLock);
    if (error != NULL) RaiseMisfit(name, QualifiedName(table), error);
}

// On the spot as far as something is known: a parent's columns, those of parents and of a child with the
// mapping, else the syntax.
static void CheckCondition(const char* name, const char* condition, Oid schema, const Target* target) {
    SafePath path = EnterSafePath();
    Oid child = target->mapping ? ChildWith(schema, target->mapping) : InvalidOid;
    ArrayType* parents = target->mapping ? ParentsWith(schema, target->mapping) : NULL;
    if (OidIsValid(child)) TryOn(name, condition, schema, child, false);
    if (OidIsValid(target->parent)) TryOn(name, condition, schema, target->parent, true);
    int count = parents ? ArrayGetNItems(ARR_NDIM(parents), ARR_DIMS(parents)) : 0;
    for (int i = 0; i < count; i++)
        TryOn(name, condition, schema, ((const Oid*)ARR_DATA_PTR(parents))[i], true);
    bool tried = OidIsValid(child) || OidIsValid(target->parent) || count > 0;
    ErrorData* error = tried ? NULL : TrySyntax(condition);
    LeaveSafePath(path);
    if (error != NULL) RaiseMisfit(name, NULL, error);
}

extern "C" {

// vm_define_check(check_name, applies_to, condition, severity, hint, source): creates or replaces.
// Errors: a bad name, severity, target or condition (22023), which name the check.
Datum vm_define_check(PG_FUNCTION_ARGS) {
    RequireArgument(fcinfo, 0);
    RequireArgument(fcinfo, 2);
    RequireArgument(fcinfo, 3);
    Oid schema = ExtensionSchema(fcinfo);
    char* name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    char* condition = text_to_cstring(PG_GETARG_TEXT_PP(2));
    CheckName(name);
    CheckSeverity(psprintf("check \"%s\"", name), text_to_cstring(PG_GETARG_TEXT_PP(3)));
    Target target = TargetOf(schema, name, PG_ARGISNULL(1) ? NULL : PG_GETARG_TEXT_PP(1));
    CheckCondition(name, condition, schema, &target);
    SqlArg args[] = {TextArg(name),
                     TextArg(target.mapping),
                     {REGCLASSOID, ObjectIdGetDatum(target.parent), !OidIsValid(target.parent)},
                     TextArg(condition),
                     {TEXTOID, PG_GETARG_DATUM(3), false},
                     {TEXTOID, PG_GETARG_DATUM(4), PG_ARGISNULL(4)},
                     {TEXTOID, PG_GETARG_DATUM(5), PG_ARGISNULL(5)},
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    RunAsOwner(
        schema,
        psprintf(
            "INSERT INTO %s (check_name, mapping, parent, condition, severity, hint, source, defined_by) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (check_name, shipped, mapping, parent) DO "
            "UPDATE SET condition = excluded.condition, severity = excluded.severity, hint = excluded.hint, "
            "source = excluded.source, defined_by = excluded.defined_by, defined_at = now()",
            ExtensionName(schema, "vm_check_rule")),
        args, lengthof(args), 0);
    PG_RETURN_VOID();
}

// vm_drop_check(check_name): all the user's definitions of it. Errors: there is none (42704, or 2BP01 if it
// is shipped).
Datum vm_drop_check(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    Oid schema = ExtensionSchema(fcinfo);
    char* name = text_to_cstring(PG_GETARG_TEXT_PP(0));
    char* table = ExtensionName(schema, "vm_check_rule");
    SqlArg args[] = {TextArg(name)};
    AsOwner owner = EnterAsOwner(schema);
    uint64 dropped =
        RunSql(psprintf("DELETE FROM %s WHERE check_name = $1 AND NOT shipped", table), args, 1, 0).rows;
    bool shipped =
        RunSql(psprintf("SELECT true FROM %s WHERE check_name = $1 LIMIT 1", table), args, 1, 1).found;
    LeaveAsOwner(owner);
    if (dropped > 0) PG_RETURN_VOID();
    if (shipped)
        ereport(ERROR,
                (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                 errmsg("check \"%s\" is shipped with the extension", name),
                 errhint("Define it anew with vm_define_check to change it; with the condition false it "
                         "finds nothing.")));
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("check \"%s\" does not exist", name)));
}

// vm_source_checks(mapping): a script for mongosh. Error: there is no such mapping (42704).
Datum vm_source_checks(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    Oid schema = ExtensionSchema(fcinfo);
    char* mapping = text_to_cstring(PG_GETARG_TEXT_PP(0));
    if (MappingRules(schema, mapping) == NULL) RaiseNoMapping(schema, mapping);
    SqlArg args[] = {TextArg(mapping)};
    SqlResult result = RunAsOwner(
        schema,
        psprintf(
            "WITH r AS (SELECT DISTINCT ON (check_name) * FROM %s WHERE parent IS NULL AND (mapping IS NULL "
            "OR "
            "mapping = $1) ORDER BY check_name, shipped, mapping IS NULL) SELECT format(E'// Checks of "
            "mapping %%s, "
            "for mongosh at the source: name, severity, documents, some _ids, what to do. Nothing is "
            "written.\\n"
            "const documents = db.getCollection(%%s);  // yours here\\n"
            "function check(name, severity, filter, hint) {\\n"
            "    const count = documents.countDocuments(filter);\\n"
            "    const ids = count ? documents.find(filter, { _id: 1 }).limit(5).toArray().map(d => "
            "String(d._id)) : "
            "[];\\n"
            "    print([name, severity, count, ids.join(\" \"), count ? hint : \"\"].join(\"\\\\t\"));\\n"
            "}\\n', to_jsonb($1), to_jsonb($1)) "
            "|| coalesce((SELECT string_agg(format(E'check(%%s, %%s, %%s, %%s);\\n', to_jsonb(check_name), "
            "to_jsonb(severity), source, coalesce(to_jsonb(hint), '\"\"')), '' ORDER BY severity = 'info', "
            "severity = "
            "'warning', check_name COLLATE \"C\") FROM r WHERE source IS NOT NULL), '') "
            "|| coalesce((SELECT E'// Only in the child: ' || string_agg(to_jsonb(check_name)::text, ', ' "
            "ORDER BY "
            "check_name COLLATE \"C\") || E'.\\n' FROM r WHERE source IS NULL), '')",
            ExtensionName(schema, "vm_check_rule")),
        args, 1, 1);
    PG_RETURN_DATUM(result.value[0]);
}
}
