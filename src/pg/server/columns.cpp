#include "pg/server/columns.h"

extern "C" {
#include <access/tupmacs.h>
#include <catalog/pg_attribute.h>
#include <optimizer/optimizer.h>
#include <rewrite/rewriteHandler.h>
#include <utils/datum.h>
#include <utils/typcache.h>
}

#include "pg/server/tables.h"

using wall::Kind;
using wall::Value;

const char* LeftAlone(Form_pg_attribute att) {
    if (att->attgenerated) return "generated";
    if (att->attidentity) return "identity";
    if (strcmp(NameStr(att->attname), "_id") == 0 || strcmp(NameStr(att->attname), "_doc") == 0)
        return "the feed's own";
    return NULL;
}

static Kind KindOf(Oid type, int32 typmod) {
    switch (type) {
        case TEXTOID: return Kind::Text;
        case VARCHAROID: return typmod < 0 ? Kind::Text : Kind::Other;
        case BOOLOID: return Kind::Bool;
        case INT2OID: return Kind::Int2;
        case INT4OID: return Kind::Int4;
        case INT8OID: return Kind::Int8;
        case FLOAT4OID: return Kind::Float4;
        case FLOAT8OID: return Kind::Float8;
        case NUMERICOID: return typmod < 0 ? Kind::Numeric : Kind::Other;
        case TIMESTAMPTZOID: return Kind::TimestampTz;
        case TIMESTAMPOID: return Kind::Timestamp;
        case DATEOID: return Kind::Date;
        case TIMEOID: return Kind::Time;
        case UUIDOID: return Kind::Uuid;
        case BYTEAOID: return Kind::Bytea;
        case JSONOID: return Kind::Json;
        case JSONBOID: return Kind::Jsonb;
        default: return Kind::Other;
    }
}

static void ReadType(Form_pg_attribute att, ColumnIo* io) {
    int32 typmod = att->atttypmod;
    Oid base = getBaseTypeAndTypmod(att->atttypid, &typmod);
    io->domain = base != att->atttypid ? att->atttypid : InvalidOid;
    Oid element = get_element_type(base);
    io->array = OidIsValid(element);
    if (io->array) {
        int32 element_typmod = typmod;
        base = getBaseTypeAndTypmod(element, &element_typmod);
        io->element_domain = base != element ? element : InvalidOid;
        typmod = element_typmod;
        get_typlenbyvalalign(element, &io->len, &io->byval, &io->align);
    }
    io->type = base;
    io->typmod = typmod;
    io->kind = KindOf(base, typmod);
    // A uuid or a bytea may be spelled in ways only the type itself knows.
    io->fallible = io->kind == Kind::Other || io->kind == Kind::Uuid || io->kind == Kind::Bytea ||
                   OidIsValid(io->domain) || OidIsValid(io->element_domain);
    bool scaled = io->kind == Kind::TimestampTz || io->kind == Kind::Timestamp || io->kind == Kind::Time;
    io->as_is = sizeof(Datum) >= sizeof(int64) && !OidIsValid(io->domain) &&
                !OidIsValid(io->element_domain) && !(scaled && typmod >= 0);
    Oid input;
    getTypeInputInfo(base, &input, &io->io_param);
    fmgr_info_cxt(input, &io->input, CurrentMemoryContext);
}

// A DEFAULT that is the same each time, like 0 or '{}'; not nextval(…) or now().
static void ReadDefault(Relation rel, Form_pg_attribute att, ColumnIo* io) {
    Node* expression = build_column_default(rel, att->attnum);
    if (expression == NULL) return;
    expression = eval_const_expressions(NULL, expression);
    if (!IsA(expression, Const)) return;
    Const* constant = (Const*)expression;
    io->default_known = true;
    io->default_null = constant->constisnull;
    if (!constant->constisnull)
        io->default_value = datumCopy(constant->constvalue, constant->constbyval, constant->constlen);
}

// Whether the column is an identity in some parent: children do not inherit that.
static bool IdentityInParent(Oid relid, const char* column) {
    NameData name;
    namestrcpy(&name, column);
    SqlArg args[] = {OidArg(OIDOID, relid), {NAMEOID, NameGetDatum(&name), false}};
    SafePath path = EnterSafePath();
    bool found = RunSql(
                     "SELECT true FROM pg_inherits i JOIN pg_attribute a ON a.attrelid = i.inhparent "
                     "WHERE i.inhrelid = $1 AND a.attname = $2 AND a.attidentity <> ''",
                     args, 2, 1)
                     .found;
    LeaveSafePath(path);
    return found;
}

TableColumns ReadColumns(Relation rel) {
    TupleDesc desc = RelationGetDescr(rel);
    TableColumns table = {};
    table.specs = (wall::ColumnSpec*)palloc0(sizeof(wall::ColumnSpec) * desc->natts);
    table.io = (ColumnIo*)palloc0(sizeof(ColumnIo) * desc->natts);
    bool inherits = false;
    for (int i = 0; i < desc->natts; i++) inherits |= TupleDescAttr(desc, i)->attinhcount > 0;

    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        const char* name = NameStr(att->attname);
        if (att->attisdropped) continue;
        if (strcmp(name, "_id") == 0) table.id_att = att->attnum;
        if (strcmp(name, "_doc") == 0) {
            table.doc_att = att->attnum;
            table.doc_type = getBaseType(att->atttypid);
            if (table.doc_type != TEXTOID && table.doc_type != VARCHAROID && table.doc_type != JSONOID &&
                table.doc_type != JSONBOID)
                ereport(ERROR,
                        (errcode(ERRCODE_DATATYPE_MISMATCH),
                         errmsg("column _doc of table %s is of type %s", RelationGetRelationName(rel),
                                format_type_be(att->atttypid)),
                         errhint("Documents are held in a column of type text, varchar, json or jsonb.")));
        }
        if (LeftAlone(att) != NULL) continue;
        if (att->attinhcount > 0 && IdentityInParent(RelationGetRelid(rel), name)) continue;

        ColumnIo* io = &table.io[table.count];
        wall::ColumnSpec* spec = &table.specs[table.count++];
        io->attno = att->attnum;
        io->name = pstrdup(name);
        ReadType(att, io);
        spec->name = io->name;
        spec->type_name = format_type_with_typemod(att->atttypid, att->atttypmod);
        spec->kind = io->kind;
        spec->array = io->array;
        spec->by_default = !inherits || att->attinhcount > 0;
        spec->has_default = att->atthasdef;
        if (att->atthasdef) ReadDefault(rel, att, io);
        spec->required = att->attnotnull;
    }
    table.layout = ReadLayout(desc);
    return table;
}

static Datum Scalar(ColumnIo* io, const wall::Row* row, const Value* value) {
    switch (value->form) {
        case vm::Form::Int:
            switch (io->kind) {
                case Kind::Bool: return BoolGetDatum(value->i != 0);
                case Kind::Int2: return Int16GetDatum((int16)value->i);
                case Kind::Int4: return Int32GetDatum((int32)value->i);
                case Kind::Date: return Int32GetDatum((int32)value->i);
                case Kind::TimestampTz:
                case Kind::Timestamp:
                    if (io->typmod >= 0)
                        return DirectFunctionCall2(timestamp_scale, Int64GetDatum(value->i),
                                                   Int32GetDatum(io->typmod));
                    return Int64GetDatum(value->i);
                case Kind::Time:
                    if (io->typmod >= 0)
                        return DirectFunctionCall2(time_scale, Int64GetDatum(value->i),
                                                   Int32GetDatum(io->typmod));
                    return Int64GetDatum(value->i);
                default: return Int64GetDatum(value->i);
            }
        case vm::Form::Float:
            return io->kind == Kind::Float4 ? Float4GetDatum((float4)value->f) : Float8GetDatum(value->f);
        case vm::Form::Datum:
        case vm::Form::Bytes: return PointerGetDatum(vm::AddressOf(*value, row->output));
        case vm::Form::Input:
            return InputFunctionCall(&io->input, vm::AddressOf(*value, row->output), io->io_param,
                                     io->typmod);
        default: elog(ERROR, "unexpected form %d of a value", (int)value->form);
    }
    return (Datum)0;
}

// An array of a few integers, which is laid out as it is handed over. 0 if it takes construct_md_array.
static Datum IntArray(const ColumnIo* io, const Value* elements, uint32 count) {
    if (!io->as_is || !io->byval || count > 1024) return (Datum)0;
    for (uint32 i = 0; i < count; i++)
        if (elements[i].form != vm::Form::Int) return (Datum)0;
    Size size = ARR_OVERHEAD_NONULLS(1) + count * io->len;
    ArrayType* array = (ArrayType*)palloc(size);
    memset(array, 0, ARR_OVERHEAD_NONULLS(1));
    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->elemtype = io->type;
    ARR_DIMS(array)[0] = (int)count;
    ARR_LBOUND(array)[0] = 1;
    char* at = ARR_DATA_PTR(array);
    for (uint32 i = 0; i < count; i++, at += io->len) store_att_byval(at, (Datum)elements[i].i, io->len);
    return PointerGetDatum(array);
}

static Datum Array(ColumnIo* io, const wall::Row* row, const Value* value) {
    if (value->count == 0)
        return PointerGetDatum(construct_empty_array(io->element_domain ? io->element_domain : io->type));
    Datum simple = IntArray(io, row->elements + value->first, value->count);
    if (simple != (Datum)0) return simple;
    Datum* elements = (Datum*)MemoryContextAllocHuge(CurrentMemoryContext, sizeof(Datum) * value->count);
    bool* nulls = (bool*)MemoryContextAllocHuge(CurrentMemoryContext, value->count);
    for (uint32 i = 0; i < value->count; i++) {
        const Value* element = &row->elements[value->first + i];
        if ((i & 0xFFFF) == 0) CHECK_FOR_INTERRUPTS();
        io->element = (int)i;
        nulls[i] = element->form == vm::Form::Null;
        elements[i] = nulls[i] ? (Datum)0 : Scalar(io, row, element);
        if (OidIsValid(io->element_domain))
            domain_check(elements[i], nulls[i], io->element_domain, &io->element_domain_cache,
                         io->input.fn_mcxt);
    }
    int dims[1] = {(int)value->count};
    int lower[1] = {1};
    return PointerGetDatum(construct_md_array(elements, nulls, 1, dims, lower,
                                              io->element_domain ? io->element_domain : io->type, io->len,
                                              io->byval, io->align));
}

Datum ValueDatum(ColumnIo* io, const wall::Row* row, const Value* value, bool* null) {
    *null = value->form == vm::Form::Null;
    Datum datum = (Datum)0;
    if (!*null) datum = value->form == vm::Form::Array ? Array(io, row, value) : Scalar(io, row, value);
    if (OidIsValid(io->domain)) domain_check(datum, *null, io->domain, &io->domain_cache, io->input.fn_mcxt);
    return datum;
}

Datum TextAs(Form_pg_attribute att, const char* text) {
    Oid input, param;
    getTypeInputInfo(att->atttypid, &input, &param);
    return OidInputFunctionCall(input, (char*)text, param, att->atttypmod);
}

wall::Text DocumentText(Datum doc, Oid doc_type) {
    if (doc_type == JSONBOID) {
        Jsonb* jsonb = DatumGetJsonbP(doc);
        StringInfoData text;
        initStringInfo(&text);
        JsonbToCString(&text, &jsonb->root, VARSIZE(jsonb));
        return {text.data, (size_t)text.len};
    }
    struct varlena* text = PG_DETOAST_DATUM_PACKED(doc);
    return {VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text)};
}
