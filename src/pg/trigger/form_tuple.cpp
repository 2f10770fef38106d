#include "pg/trigger/form_tuple.h"

extern "C" {
#include <access/tupmacs.h>
}

// Larger rows cost enough for a second pass not to matter.
static const Size kMost = 64 * 1024;

TupleLayout ReadLayout(TupleDesc desc) {
    TupleLayout layout = {desc->natts, true, (AttLayout*)palloc0(sizeof(AttLayout) * Max(desc->natts, 1))};
    for (int i = 0; i < desc->natts; i++) {
        Form_pg_attribute att = TupleDescAttr(desc, i);
        AttLayout* to = &layout.atts[i];
        to->len = att->attlen;
        to->align = (uint8)(att_align_nominal(1, att->attalign) - 1);
        to->byval = att->attbyval;
        to->packable = att->attlen == -1 && att->attstorage != TYPSTORAGE_PLAIN;
        layout.known &= att->attlen > 0 || att->attlen == -1;
    }
    return layout;
}

// memcpy without a call for what most columns hold.
static inline void CopyBytes(char* to, const char* from, Size n) {
    if (n > 32) {
        memcpy(to, from, n);
    } else if (n >= 16) {
        memcpy(to, from, 16);
        memcpy(to + n - 16, from + n - 16, 16);
    } else if (n >= 8) {
        memcpy(to, from, 8);
        memcpy(to + n - 8, from + n - 8, 8);
    } else {
        for (Size i = 0; i < n; i++) to[i] = from[i];
    }
}

// The most that the values take; 0 if it is for heap_form_tuple.
static Size Bound(const TupleLayout* layout, const Datum* values, const bool* nulls, bool* any_null) {
    Size size = 0;
    for (int i = 0; i < layout->natts; i++) {
        if (nulls[i]) {
            *any_null = true;
            continue;
        }
        const AttLayout* att = &layout->atts[i];
        size += MAXIMUM_ALIGNOF;
        if (att->len > 0) {
            size += att->len;
            continue;
        }
        const char* value = DatumGetPointer(values[i]);
        if (VARATT_IS_EXTERNAL(value)) return 0;
        size += VARSIZE_ANY(value);
    }
    return size <= kMost ? size + MAXIMUM_ALIGNOF : 0;
}

// Zeroes up to the next place a value may stand.
static inline char* Aligned(char* at, uint8 align) {
    memset(at, 0, MAXIMUM_ALIGNOF);
    return (char*)(((uintptr_t)at + align) & ~(uintptr_t)align);
}

// Writes a value and returns where it ends.
static inline char* PutValue(char* at, const AttLayout* att, Datum value) {
    if (att->byval) {
        at = Aligned(at, att->align);
        store_att_byval(at, value, att->len);
        return at + att->len;
    }
    const char* from = DatumGetPointer(value);
    Size size = att->len;
    if (att->len > 0) {
        at = Aligned(at, att->align);
    } else if (VARATT_IS_SHORT(from)) {
        size = VARSIZE_SHORT(from);
    } else if (att->packable && VARATT_CAN_MAKE_SHORT(from)) {
        size = VARATT_CONVERTED_SHORT_SIZE(from);
        SET_VARSIZE_SHORT(at, size);
        CopyBytes(at + 1, VARDATA(from), size - 1);
        return at + size;
    } else {
        at = Aligned(at, att->align);
        size = VARSIZE(from);
    }
    CopyBytes(at, from, size);
    return at + size;
}

HeapTuple FormTuple(TupleDesc desc, const TupleLayout* layout, Datum* values, bool* nulls) {
    int natts = layout->natts;
    bool any_null = false;
    Size bound = layout->known && natts == desc->natts ? Bound(layout, values, nulls, &any_null) : 0;
    if (bound == 0) return heap_form_tuple(desc, values, nulls);

    Size head = offsetof(HeapTupleHeaderData, t_bits);
    if (any_null) head += BITMAPLEN(natts);
    head = MAXALIGN(head);
    HeapTuple tuple = (HeapTuple)palloc(HEAPTUPLESIZE + head + bound);
    HeapTupleHeader header = (HeapTupleHeader)((char*)tuple + HEAPTUPLESIZE);
    memset(header, 0, head);
    char* at = (char*)header + head;
    for (int i = 0; i < natts; i++) {
        if (nulls[i]) continue;
        if (any_null) header->t_bits[i >> 3] |= (bits8)(1 << (i & 7));
        if (layout->atts[i].len == -1) header->t_infomask |= HEAP_HASVARWIDTH;
        at = PutValue(at, &layout->atts[i], values[i]);
    }
    if (any_null) header->t_infomask |= HEAP_HASNULL;
    header->t_hoff = (uint8)head;
    HeapTupleHeaderSetNatts(header, natts);

    tuple->t_len = (uint32)(at - (char*)header);
    ItemPointerSetInvalid(&tuple->t_self);
    tuple->t_tableOid = InvalidOid;
    tuple->t_data = header;
    HeapTupleHeaderSetDatumLength(header, tuple->t_len);
    HeapTupleHeaderSetTypeId(header, desc->tdtypeid);
    HeapTupleHeaderSetTypMod(header, desc->tdtypmod);
    ItemPointerSetInvalid(&header->t_ctid);
    return tuple;
}
