// Distinct values of a column by a loose scan of a btree index: from each value straight to the next.
#pragma once

#include "pg/server/compat.h"

extern "C" {
#include <utils/typcache.h>
}

// A column that must be equal to a value, or NULL. Types are the base types of domains.
struct DistinctFilter {
    char* name;
    Oid type;
    Oid collation;
    Datum value;
    bool null;
};

struct DistinctQuery {
    char* column;
    Oid type;
    Oid collation;
    TypeCacheEntry* order;  // with the order's operators and cmp_proc_finfo
    DistinctFilter* filters;
    int nfilters;
    Tuplesortstate* values;  // where values go, those of several tables one after the other
    bool null;               // NULL is one of them
};

// An index of a table that has the query's rows in one piece, sorted by the column as its type sorts;
// InvalidOid if there is none. The table is locked.
Oid LooseIndex(Relation table, const DistinctQuery* query);

// Adds the values of one table by such an index, as the active snapshot sees them. Rights are the caller's
// business.
void LooseScan(Relation table, Oid index, DistinctQuery* query);
