// References between entities: define, drop.
#include "pg/server/caught.h"
#include "pg/check/check.h"
#include "pg/check/check_condition.h"
#include "pg/project/parent.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_define_reference);
PG_FUNCTION_INFO_V1(vm_drop_reference);
}

// The parent of an entity, or InvalidOid while it is not registered.
static Oid ParentOfEntity(Oid schema, const char* entity) {
    const Parent* parent = FindParent(schema, entity);
    bool stands = parent != NULL && SearchSysCacheExists1(RELOID, ObjectIdGetDatum(parent->parent));
    return stands ? parent->parent : InvalidOid;
}

static void CheckColumn(const char* what, Oid table, const char* column) {
    if (!OidIsValid(table) || column == NULL || get_attnum(table, column) != InvalidAttrNumber) return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("%s: table %s has no column \"%s\"", what, QualifiedName(table), column)));
}

// On the spot as far as something is known: the table's columns, else the syntax.
static void CheckCounted(const char* what, Oid schema, Oid table, const char* counted) {
    SafePath path = EnterSafePath();
    ErrorData* error;
    if (OidIsValid(table)) {
        char* sql;
        Relation rel = relation_open(table, AccessShareLock);
        error = TryCondition(schema, counted, rel, ConditionSource(rel, NULL, false), &sql);
        relation_close(rel, NoLock);
    } else {
        error = TrySyntax(counted);
    }
    LeaveSafePath(path);
    if (error == NULL) return;
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s: counted cannot be asked", what),
                    errdetail("%s", ReadableMessage(error)),
                    errhint("It is one boolean expression over the columns of the rows that refer; other "
                            "names outside pg_catalog must be qualified.")));
}

extern "C" {

// vm_define_reference(entity, column_name, refers_to, refers_to_column, count_column, counted, severity,
// count_severity): creates or replaces; refers_to NULL: the column refers to nothing, whatever is shipped.
// Errors: a bad name, severity or condition, a column that a registered parent lacks (22023).
Datum vm_define_reference(PG_FUNCTION_ARGS) {
    static const int required[] = {0, 1, 3, 6, 7};
    for (int i : required) RequireArgument(fcinfo, i);
    Oid schema = ExtensionSchema(fcinfo);
    char* entity = TextArgument(fcinfo, 0);
    char* column = NameArgument(fcinfo, 1);
    char* refers_to = TextArgument(fcinfo, 2);
    char* counted = TextArgument(fcinfo, 5);
    char* what = psprintf("reference %s.%s", entity, column);
    if (entity[0] == '\0' || column[0] == '\0' || (refers_to != NULL && refers_to[0] == '\0'))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("a reference needs an entity, a column and the entity it refers to")));
    CheckSeverity(what, TextArgument(fcinfo, 6));
    CheckSeverity(what, TextArgument(fcinfo, 7));
    if (counted != NULL && PG_ARGISNULL(4))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s: nothing has the count", what),
                        errhint("Give count_column, the column of %s that has the number of rows.",
                                refers_to ? refers_to : "the other entity")));
    if (refers_to != NULL) {
        Oid from = ParentOfEntity(schema, entity);
        Oid to = ParentOfEntity(schema, refers_to);
        CheckColumn(what, from, column);
        CheckColumn(what, to, NameArgument(fcinfo, 3));
        CheckColumn(what, to, NameArgument(fcinfo, 4));
        if (counted != NULL) CheckCounted(what, schema, from, counted);
    }
    SqlArg args[] = {TextArg(entity),
                     TextArg(column),
                     TextArg(refers_to),
                     TextArg(NameArgument(fcinfo, 3)),
                     TextArg(NameArgument(fcinfo, 4)),
                     TextArg(counted),
                     TextArg(TextArgument(fcinfo, 6)),
                     TextArg(TextArgument(fcinfo, 7)),
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    RunAsOwner(schema,
               psprintf("INSERT INTO %s (entity, column_name, refers_to, refers_to_column, count_column, "
                        "counted, severity, count_severity, defined_by) VALUES ($1, $2::name, $3, $4::name, "
                        "$5::name, $6, $7, $8, $9) ON CONFLICT (entity, column_name, shipped) DO UPDATE SET "
                        "refers_to = excluded.refers_to, refers_to_column = excluded.refers_to_column, "
                        "count_column = excluded.count_column, counted = excluded.counted, severity = "
                        "excluded.severity, count_severity = excluded.count_severity, defined_by = "
                        "excluded.defined_by, defined_at = now()",
                        ExtensionName(schema, "vm_reference")),
               args, lengthof(args), 0);
    PG_RETURN_VOID();
}

// vm_drop_reference(entity, column_name): one that was defined. Errors: there is none (42704, or 2BP01 if it
// is shipped).
Datum vm_drop_reference(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    Oid schema = ExtensionSchema(fcinfo);
    char* entity = TextArgument(fcinfo, 0);
    char* column = NameArgument(fcinfo, 1);
    char* table = ExtensionName(schema, "vm_reference");
    SqlArg args[] = {TextArg(entity), TextArg(column)};
    const char* which = "entity = $1 AND column_name = $2::name";
    AsOwner owner = EnterAsOwner(schema);
    uint64 dropped =
        RunSql(psprintf("DELETE FROM %s WHERE %s AND NOT shipped", table, which), args, 2, 0).rows;
    bool shipped = RunSql(psprintf("SELECT true FROM %s WHERE %s LIMIT 1", table, which), args, 2, 1).found;
    LeaveAsOwner(owner);
    if (dropped > 0) PG_RETURN_VOID();
    if (shipped)
        ereport(ERROR,
                (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                 errmsg("reference %s.%s is shipped with the extension", entity, column),
                 errhint("Define it anew with vm_define_reference to change it; with refers_to NULL nothing "
                         "is checked.")));
    ereport(ERROR,
            (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("reference %s.%s does not exist", entity, column)));
}
}
