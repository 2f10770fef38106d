// The article's two helper functions, by the same names.
#include "core/decimal.h"
#include "pg/server/compat.h"

extern "C" {
#include <utils/numeric.h>
}

// The i-th of n elements of a jsonb array, whose data starts at `offset`, as numeric::integer takes it.
static int32 ElementAsInt(JsonbContainer* array, int i, int n, uint32 offset) {
    JEntry entry = array->children[i];
    char* data = (char*)&array->children[n];
    int64_t small;
    if (JBE_ISNUMERIC(entry) && vm::ReadSmallNumeric(data + INTALIGN(offset), &small) &&
        (int32)small == small)
        return (int32)small;
    if (JBE_ISNUMERIC(entry))
        return DatumGetInt32(DirectFunctionCall1(numeric_int4, PointerGetDatum(data + INTALIGN(offset))));
    char* text;
    if (JBE_ISSTRING(entry)) {
        text = pnstrdup(data + offset, getJsonbLength(array, i));
    } else if (JBE_ISBOOL(entry)) {
        text = pstrdup(JBE_ISBOOL_TRUE(entry) ? "true" : "false");
    } else {
        JsonbContainer* inner = (JsonbContainer*)(data + INTALIGN(offset));
        text = JsonbToCString(NULL, inner, (int)getJsonbLength(array, i));
    }
    Datum numeric = DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
                                        Int32GetDatum(-1));
    return DatumGetInt32(DirectFunctionCall1(numeric_int4, numeric));
}

extern "C" {

PG_FUNCTION_INFO_V1(hex_to_bigint);
PG_FUNCTION_INFO_V1(json_arr2int_arr);

// hex_to_bigint(hexval text): at most 64 bits, as x'…'::bigint reads them; 'ffffffffffffffff' is -1, '' is 0.
// Errors: no hexadecimal digit (22P02), more than 64 bits (22003).
Datum hex_to_bigint(PG_FUNCTION_ARGS) {
    text* hex = PG_GETARG_TEXT_PP(0);
    const char* digits = VARDATA_ANY(hex);
    int n = VARSIZE_ANY_EXHDR(hex);
    uint64 value = 0;
    for (int i = 0; i < n; i++) {
        char c = digits[i];
        uint64 digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (c | 0x20) - 'a' + 10;
        else
            ereport(ERROR,
                    (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                     errmsg("\"%.*s\" is not a valid hexadecimal digit", pg_mblen(digits + i), digits + i)));
        if (i >= 16)
            ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range"),
                            errdetail("A bigint holds at most 16 hexadecimal digits, not %d.", n)));
        value = value << 4 | digit;
    }
    PG_RETURN_INT64((int64)value);
}

// json_arr2int_arr(js jsonb): numbers and numeric strings of a JSON array, rounded half away from zero; null
// stays NULL. NULL gives an empty array. Errors: no array (22023), no number (22P02), out of range (22003).
Datum json_arr2int_arr(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0)) PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT4OID));
    Jsonb* js = PG_GETARG_JSONB_P(0);
    if (!JB_ROOT_IS_ARRAY(js) || JB_ROOT_IS_SCALAR(js))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("cannot extract elements from %s",
                               JB_ROOT_IS_SCALAR(js) ? "a scalar" : "an object")));
    int n = JB_ROOT_COUNT(js);
    if (n == 0) PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT4OID));

    // Laid out by hand: most such arrays are a handful of small numbers.
    bool any_null = false;
    for (int i = 0; i < n; i++) any_null |= JBE_ISNULL(js->root.children[i]);
    Size data = any_null ? ARR_OVERHEAD_WITHNULLS(1, n) : ARR_OVERHEAD_NONULLS(1);
    Size size = data + sizeof(int32) * n;
    ArrayType* array = (ArrayType*)palloc0(size);
    SET_VARSIZE(array, size);
    array->ndim = 1;
    array->dataoffset = any_null ? (int32)data : 0;
    array->elemtype = INT4OID;
    ARR_DIMS(array)[0] = n;
    ARR_LBOUND(array)[0] = 1;
    int32* to = (int32*)((char*)array + data);
    uint32 offset = 0;
    for (int i = 0; i < n; i++) {
        if (!JBE_ISNULL(js->root.children[i])) {
            if (any_null) ARR_NULLBITMAP(array)[i / 8] |= 1 << (i % 8);
            *to++ = ElementAsInt(&js->root, i, n, offset);
        }
        JBE_ADVANCE_OFFSET(offset, js->root.children[i]);
    }
    if (any_null) {  // NULLs take no room
        size = (char*)to - (char*)array;
        SET_VARSIZE(array, size);
    }
    PG_RETURN_ARRAYTYPE_P(array);
}
}
