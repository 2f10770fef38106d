#include "pg/trigger/half_row.h"

#include "pg/server/caught.h"
#include "pg/trigger/document.h"
#include "pg/server/tables.h"

extern "C" {
#include <common/hashfn.h>
#include <common/md5.h>
}

using wall::Kind;

static char* FirstLabel(Oid enum_type) {
    SqlArg args[] = {OidArg(OIDOID, enum_type)};
    SafePath path = EnterSafePath();
    SqlResult result =
        RunSql("SELECT enumlabel::text FROM pg_enum WHERE enumtypid = $1 ORDER BY enumsortorder LIMIT 1",
               args, 1, 1);
    LeaveSafePath(path);
    return result.found ? TextDatumGetCString(result.value[0]) : NULL;
}

static char* OtherPlaceholder(const ColumnIo* io, const char* id) {
    if (io->type == VARCHAROID || io->type == BPCHAROID)
        return pnstrdup(id, pg_mbcharcliplen(id, (int)strlen(id), io->typmod - VARHDRSZ));
    if (io->type == NUMERICOID) return pstrdup("0");
    if (get_typtype(io->type) == TYPTYPE_ENUM) return FirstLabel(io->type);
    return NULL;
}

static char* Placeholder(const ColumnIo* io, const char* id) {
    uint64 hash = DatumGetUInt64(hash_any_extended((const unsigned char*)id, (int)strlen(id), 0));
    char md5[33];
    const char* error = NULL;
    if (io->array) return pstrdup("{}");
    switch (io->kind) {
        case Kind::Text: return pstrdup(id);
        case Kind::Bool: return pstrdup("false");
        case Kind::Int2: return psprintf("%d", (int)(hash & 0x7FFF));
        case Kind::Int4: return psprintf("%d", (int)(hash & 0x7FFFFFFF));
        case Kind::Int8:
        case Kind::Numeric: return psprintf(INT64_FORMAT, (int64)(hash >> 1));
        case Kind::Float4:
        case Kind::Float8: return psprintf("%d", (int)(hash & 0x7FFFFF));
        case Kind::TimestampTz:
        case Kind::Timestamp:
        case Kind::Date: return pstrdup("-infinity");
        case Kind::Time: return pstrdup("00:00");
        case Kind::Uuid: return pg_md5_hash(id, strlen(id), md5, &error) ? pstrdup(md5) : NULL;
        case Kind::Bytea: return psprintf("\\x%016llx", (unsigned long long)hash);
        case Kind::Json:
        case Kind::Jsonb: return pstrdup("{}");
        default: return OtherPlaceholder(io, id);
    }
}

HeapTuple HalfRow(const TableColumns* table, HeapTuple row, TupleDesc desc) {
    char* id = RowId(row, desc, table);
    if (id == NULL) return row;
    Datum* values = (Datum*)palloc(desc->natts * sizeof(Datum));
    bool* nulls = (bool*)palloc(desc->natts);
    heap_deform_tuple(row, desc, values, nulls);
    for (int i = 0; i < table->count; i++) {
        int at = table->io[i].attno - 1;
        if (!nulls[at] || !table->specs[i].required) continue;
        char* text = Placeholder(&table->io[i], id);
        if (text == NULL) continue;
        values[at] = TextAs(TupleDescAttr(desc, at), text);
        nulls[at] = false;
    }
    return heap_form_tuple(desc, values, nulls);
}
