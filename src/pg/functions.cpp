// The article's two helper functions, by the same names.
#include "pg/compat.h"

extern "C" {
#include <utils/numeric.h>

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
        if (c >= '0' && c <= '9') digit = c - '0';
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') digit = (c | 0x20) - 'a' + 10;
        else
            ereport(ERROR, (errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
                            errmsg("\"%.*s\" is not a valid hexadecimal digit", pg_mblen(digits + i), digits + i)));
        if (i >= 16)
            ereport(ERROR, (errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE), errmsg("bigint out of range"),
                            errdetail("A bigint holds at most 16 hexadecimal digits, not %d.", n)));
        value = value << 4 | digit;
    }
    PG_RETURN_INT64((int64)value);
}

// json_arr2int_arr(js jsonb): numbers and numeric strings of a JSON array, rounded half away from zero; null stays
// NULL. NULL gives an empty array. Errors: no array (22023), no number (22P02), out of range (22003).
Datum json_arr2int_arr(PG_FUNCTION_ARGS) {
    if (PG_ARGISNULL(0)) PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT4OID));
    Jsonb* js = PG_GETARG_JSONB_P(0);
    if (!JB_ROOT_IS_ARRAY(js) || JB_ROOT_IS_SCALAR(js))
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("cannot extract elements from %s", JB_ROOT_IS_SCALAR(js) ? "a scalar" : "an object")));
    int n = JB_ROOT_COUNT(js);
    if (n == 0) PG_RETURN_ARRAYTYPE_P(construct_empty_array(INT4OID));
    Datum* elements = (Datum*)palloc(sizeof(Datum) * n);
    bool* nulls = (bool*)palloc(n);
    JsonbIterator* iterator = JsonbIteratorInit(&js->root);
    JsonbValue v;
    int i = 0;
    for (JsonbIteratorToken token; (token = JsonbIteratorNext(&iterator, &v, true)) != WJB_DONE;) {
        if (token != WJB_ELEM) continue;
        nulls[i] = v.type == jbvNull;
        if (v.type == jbvNumeric) {
            elements[i] = DirectFunctionCall1(numeric_int4, NumericGetDatum(v.val.numeric));
        } else if (v.type != jbvNull) {
            char* text;
            if (v.type == jbvString) text = pnstrdup(v.val.string.val, v.val.string.len);
            else if (v.type == jbvBool) text = pstrdup(v.val.boolean ? "true" : "false");
            else text = JsonbToCString(NULL, v.val.binary.data, v.val.binary.len);
            Datum numeric = DirectFunctionCall3(numeric_in, CStringGetDatum(text), ObjectIdGetDatum(InvalidOid),
                                                Int32GetDatum(-1));
            elements[i] = DirectFunctionCall1(numeric_int4, numeric);
        } else {
            elements[i] = (Datum)0;
        }
        i++;
    }
    int dims[1] = {n};
    int lower[1] = {1};
    PG_RETURN_ARRAYTYPE_P(
        construct_md_array(elements, nulls, 1, dims, lower, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}
}
