// The extension's own tables, and running SQL with their owner's rights.
#pragma once

#include "pg/server/compat.h"

// The schema the extension lives in, from any of its functions.
Oid ExtensionSchema(FunctionCallInfo fcinfo);

// Refuses NULL (22004) among the first n arguments, naming function and argument.
void RequireArguments(FunctionCallInfo fcinfo, int n);
// The same for one argument, counted from 0.
void RequireArgument(FunctionCallInfo fcinfo, int i);

// Argument i of type text or name, in the current context, or NULL.
inline char* TextArgument(FunctionCallInfo fcinfo, int i) {
    return PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
}
inline char* NameArgument(FunctionCallInfo fcinfo, int i) {
    return PG_ARGISNULL(i) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(i)));
}

// Nothing but white space: no reason, and no decision.
inline bool IsBlank(const char* text) {
    return text[strspn(text, " \t\r\n")] == '\0';
}

// A table of the extension; an error if it is gone.
Oid ExtensionTable(Oid schema, const char* name);

// A relation's schema.name, quoted, fit to stand in SQL and in messages. Allocated in the current context.
// Error: it is gone (42P01); who may meet one that is being dropped opens it first.
char* QualifiedName(Oid relation);

// schema.name, quoted, fit to stand in SQL. Allocated in the current context.
char* ExtensionName(Oid schema, const char* name);

// Bytes for people, as pg_size_pretty.
char* PrettySize(uint64 bytes);

// 3 s, 4 min, 2 h 05 min.
char* PrettyDuration(double seconds);

// Whether it is a table still, whoever may be about to drop it.
inline bool TableStands(Oid table) {
    return OidIsValid(table) && SearchSysCacheExists1(RELOID, ObjectIdGetDatum(table));
}

// Of a table that is there.
Oid OwnerOf(Oid table);

// Makes SPI statements see pg_catalog only, until Leave. Errors in between undo it by themselves.
struct SafePath {
    int nest;
};
SafePath EnterSafePath(void);
void LeaveSafePath(SafePath path);

// The same, with the rights of the owner of vm_mapping, for the rows that a feed's role need not have rights
// on.
struct AsOwner {
    SafePath path;
    Oid user;
    int context;
};
AsOwner EnterAsOwner(Oid schema);
// The same with the rights of the owner of any table.
AsOwner EnterAsTableOwner(Oid table);
void LeaveAsOwner(AsOwner saved);

// An operator, as OPERATOR(schema.=).
char* OperatorName(Oid op);

// The equality operator of an index's k-th column (from 0), as OPERATOR(schema.=).
char* IndexEquality(Relation index, int k);

// One statement through SPI, connected and finished inside. Of its first row, if there is one, `want` columns
// are copied into the caller's context.
struct SqlArg {
    Oid type;
    Datum value;
    bool null;
};
struct SqlResult {
    uint64 rows;     // processed
    bool found;      // a row came back
    Datum value[9];  // its first columns, in the caller's context
    bool null[9];
};
SqlResult RunSql(const char* sql, const SqlArg* args, int nargs, int want);
// The same for a statement that runs often in a session, always with arguments of the same types: planned
// once.
SqlResult RunSavedSql(const char* sql, const SqlArg* args, int nargs, int want);

// The same with the rights of the extension's owner.
SqlResult RunAsOwner(Oid schema, const char* sql, const SqlArg* args, int nargs, int want);

inline SqlArg TextArg(const char* text) {
    return text ? SqlArg{TEXTOID, CStringGetTextDatum(text), false} : SqlArg{TEXTOID, (Datum)0, true};
}
inline SqlArg OidArg(Oid type, Oid value) {
    return SqlArg{type, ObjectIdGetDatum(value), false};
}
// The i-th text of a result's row, in the current context, or NULL.
inline char* TextOrNull(const SqlResult* result, int i) {
    return result->null[i] ? NULL : TextDatumGetCString(result->value[i]);
}

// Whether a procedure was called where it cannot commit: inside a transaction block or a function.
bool CalledAtomically(FunctionCallInfo fcinfo);
