// Mappings: define, drop, explain; and the triggers that guard vm_mapping.
#include "pg/server/compat.h"
#include "pg/mapping/mapping_use.h"
#include "pg/mapping/plan_cache.h"
#include "pg/server/tables.h"

// Raises 22023 if the rules are not of the documented form.
static void CheckRules(Datum mapping, Datum rules) {
    Jsonb* jsonb = DatumGetJsonbP(rules);
    char* written = JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb));
    wall::Problem problem;
    if (wall::CheckRules({written, strlen(written)}, &problem) != wall::Reason::None)
        RaiseBadRule(TextDatumGetCString(mapping), NULL, &problem);
}

extern "C" {
PG_FUNCTION_INFO_V1(vm_define_mapping);
PG_FUNCTION_INFO_V1(vm_drop_mapping);
PG_FUNCTION_INFO_V1(vm_explain_mapping);
PG_FUNCTION_INFO_V1(vm_mapping_check);
PG_FUNCTION_INFO_V1(vm_mapping_changed);

// vm_define_mapping(mapping text, rules jsonb): creates or replaces. Refuses bad rules, and such as do not
// fit a table that uses the mapping (22023). Tables that have rows by other rules are told in a NOTICE.
Datum vm_define_mapping(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    Oid schema = ExtensionSchema(fcinfo);
    if (VARSIZE_ANY_EXHDR(PG_GETARG_TEXT_PP(0)) == 0)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("a mapping needs a name")));
    CheckRules(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
    char* mapping = text_to_cstring(PG_GETARG_TEXT_PP(0));
    char* before = MappingRules(schema, mapping);
    SqlArg args[] = {{TEXTOID, PG_GETARG_DATUM(0), false},
                     {JSONBOID, PG_GETARG_DATUM(1), false},
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    RunAsOwner(schema,
               psprintf("INSERT INTO %s (mapping, rules, defined_by) VALUES ($1, $2, $3) "
                        "ON CONFLICT (mapping, shipped) DO UPDATE SET rules = excluded.rules, "
                        "defined_by = excluded.defined_by, defined_at = now()",
                        ExtensionName(schema, "vm_mapping")),
               args, lengthof(args), 0);
    RequireFitting(schema, mapping);
    if (before != NULL && strcmp(before, MappingRules(schema, mapping)) != 0)
        NoteRowsMadeBefore(schema, mapping);
    PG_RETURN_VOID();
}

// vm_drop_mapping(mapping text). A shipped mapping stays; dropping the user's definition of it brings it
// back. Errors: it does not exist (42704), a trigger still uses it (2BP01), the shipped one does not fit a
// table that uses it (22023).
Datum vm_drop_mapping(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 1);
    Oid schema = ExtensionSchema(fcinfo);
    char* mapping = text_to_cstring(PG_GETARG_TEXT_PP(0));
    SqlArg args[] = {TextArg(mapping), OidArg(OIDOID, schema)};
    AsOwner owner = EnterAsOwner(schema);
    SqlResult shipped =
        RunSql(psprintf("SELECT bool_or(shipped), bool_or(NOT shipped) FROM %s WHERE mapping = $1",
                        ExtensionName(schema, "vm_mapping")),
               args, 1, 2);
    if (shipped.null[0]) RaiseNoMapping(schema, mapping);
    if (!DatumGetBool(shipped.value[1]))
        ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                        errmsg("mapping \"%s\" is shipped with the extension", mapping),
                        errhint("Define it anew with vm_define_mapping to change it.")));
    if (!DatumGetBool(shipped.value[0])) {
        SqlResult user = RunSql(
            "SELECT t.tgrelid::regclass::text, count(*) OVER () FROM pg_trigger t JOIN pg_proc f ON f.oid = "
            "t.tgfoid WHERE " VM_TRIGGER_OF_MAPPING " ORDER BY 1 LIMIT 1",
            args, 2, 2);
        if (user.found)
            ereport(ERROR, (errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
                            errmsg("mapping \"%s\" is in use", mapping),
                            errdetail_plural(
                                "%lld trigger uses it, on %s.", "%lld triggers use it, one of them on %s.",
                                (unsigned long)DatumGetInt64(user.value[1]),
                                (long long)DatumGetInt64(user.value[1]), TextDatumGetCString(user.value[0])),
                            errhint("Drop these tables or their triggers first.")));
    }
    RunSql(psprintf("DELETE FROM %s WHERE mapping = $1 AND NOT shipped", ExtensionName(schema, "vm_mapping")),
           args, 1, 0);
    LeaveAsOwner(owner);
    RequireFitting(schema, mapping);
    NoteRowsMadeBefore(schema, mapping);
    PG_RETURN_VOID();
}

// Row trigger of vm_mapping: refuses rules that are not of the documented form.
Datum vm_mapping_check(PG_FUNCTION_ARGS) {
    TriggerData* trigger = (TriggerData*)fcinfo->context;
    if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "vm_mapping_check is a trigger function");
    HeapTuple row = TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple : trigger->tg_trigtuple;
    TupleDesc desc = RelationGetDescr(trigger->tg_relation);
    bool no_name, no_rules;
    Datum name = heap_getattr(row, SPI_fnumber(desc, "mapping"), desc, &no_name);
    Datum rules = heap_getattr(row, SPI_fnumber(desc, "rules"), desc, &no_rules);
    if (no_name || no_rules) PG_RETURN_POINTER(row);  // NOT NULL says it better

    CheckRules(name, rules);
    PG_RETURN_POINTER(row);
}

// Statement trigger of vm_mapping: compiled mappings of every backend are out of date.
Datum vm_mapping_changed(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "vm_mapping_changed is a trigger function");
    CacheInvalidateRelcacheByRelid(RelationGetRelid(((TriggerData*)fcinfo->context)->tg_relation));
    PG_RETURN_POINTER(NULL);
}

// vm_explain_mapping(mapping text, child regclass) → (column_name, column_type, source, conversion, fallback)
Datum vm_explain_mapping(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    InitMaterializedSRF(fcinfo, 0);
    ReturnSetInfo* result = (ReturnSetInfo*)fcinfo->resultinfo;
    char* mapping = text_to_cstring(PG_GETARG_TEXT_PP(0));
    Relation rel = relation_open(PG_GETARG_OID(1), AccessShareLock);
    CompiledMapping* compiled =
        CompileMapping(ExtensionSchema(fcinfo), mapping, rel, NULL, -1, CurrentMemoryContext);
    TupleDesc desc = RelationGetDescr(rel);
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        if (att->attisdropped) continue;
        wall::ColumnWords words = {};
        const char* left_alone = LeftAlone(att);
        int column = -1;
        for (int c = 0; c < compiled->table.count; c++) {
            if (compiled->table.io[c].attno != att->attnum) continue;
            column = compiled->info.column_of[c];
            if (column < 0) left_alone = compiled->table.specs[c].by_default ? "ignored" : "not the parent's";
        }
        if (column >= 0)
            wall::Explain(compiled->plan, column, &words);
        else
            snprintf(words.conversion, sizeof(words.conversion), "left alone (%s)",
                     left_alone ? left_alone : "identity of the parent");
        Datum values[] = {CStringGetTextDatum(NameStr(att->attname)),
                          CStringGetTextDatum(format_type_with_typemod(att->atttypid, att->atttypmod)),
                          CStringGetTextDatum(words.source), CStringGetTextDatum(words.conversion),
                          CStringGetTextDatum(words.fallback)};
        bool nulls[] = {false, false, column < 0, false, column < 0};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    relation_close(rel, AccessShareLock);
    MemoryContextDelete(compiled->context);
    return (Datum)0;
}
}
