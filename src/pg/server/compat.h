// The server's headers, and every difference between its versions. Supported: 15 to 18.
#pragma once

extern "C" {
#include <postgres.h>

#include <access/genam.h>
#include <access/htup_details.h>
#include <access/relation.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <catalog/pg_collation.h>
#include <catalog/pg_namespace.h>
#include <catalog/pg_type.h>
#include <commands/trigger.h>
#include <executor/executor.h>
#include <executor/spi.h>
#include <fmgr.h>
#include <funcapi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <nodes/nodeFuncs.h>
#include <parser/parse_relation.h>
#include <tcop/pquery.h>
#include <utils/acl.h>
#include <utils/array.h>
#include <utils/builtins.h>
#include <utils/fmgrprotos.h>
#include <utils/formatting.h>
#include <utils/guc.h>
#include <utils/guc_tables.h>
#include <utils/inval.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/rel.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
#include <utils/tuplesort.h>
#if PG_VERSION_NUM >= 160000
#include <varatt.h>
#endif
}

#if PG_VERSION_NUM < 150000
#error "voucher_migrate needs PostgreSQL 15 or newer"
#endif

// 18 records the module's name and version beside the magic.
#if PG_VERSION_NUM >= 180000
#define VM_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "voucher_migrate", .version = nullptr)
#else
#define VM_MODULE_MAGIC PG_MODULE_MAGIC
#endif

// Columns the server computes itself.
inline bool HasGeneratedColumns(const TupleConstr* constr) {
#if PG_VERSION_NUM >= 180000
    if (constr->has_generated_virtual) return true;
#endif
    return constr->has_generated_stored;
}

// Puts a stored row into its table's indexes. Unique ones are not waited for: those that have the key, or may
// have it once another session commits, are what comes back.
inline List* InsertIndexTuplesUnlessTaken(ResultRelInfo* result, TupleTableSlot* slot, EState* estate) {
#if PG_VERSION_NUM >= 160000
    return ExecInsertIndexTuples(result, slot, estate, false, true, NULL, NIL, false);
#else
    return ExecInsertIndexTuples(result, slot, estate, false, true, NULL, NIL);
#endif
}

// A scan whose keys come with index_rescan.
inline IndexScanDesc BeginIndexScan(Relation table, Relation index, Snapshot snapshot, int nkeys) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(table, index, snapshot, NULL, nkeys, 0);
#else
    return index_beginscan(table, index, snapshot, nkeys, 0);
#endif
}

// The next of sorted values, a copy of it; false after the last.
inline bool NextSorted(Tuplesortstate* sort, Datum* value, bool* null) {
#if PG_VERSION_NUM >= 160000
    return tuplesort_getdatum(sort, true, true, value, null, NULL);
#else
    return tuplesort_getdatum(sort, true, value, null, NULL);
#endif
}

// Whether the current user may select the columns (numbers from FirstLowInvalidHeapAttributeNumber on), as
// the executor asks, its hooks too. With `raise` an error if not.
inline bool MaySelect(Relation table, Bitmapset* columns, bool raise) {
    RangeTblEntry* rte = makeNode(RangeTblEntry);
    rte->rtekind = RTE_RELATION;
    rte->relid = RelationGetRelid(table);
    rte->relkind = table->rd_rel->relkind;
    rte->rellockmode = AccessShareLock;
#if PG_VERSION_NUM >= 160000
    List* infos = NIL;
    RTEPermissionInfo* info = addRTEPermissionInfo(&infos, rte);
    info->requiredPerms = ACL_SELECT;
    info->selectedCols = columns;
    return ExecCheckPermissions(list_make1(rte), infos, raise);
#else
    rte->requiredPerms = ACL_SELECT;
    rte->selectedCols = columns;
    return ExecCheckRTPerms(list_make1(rte), raise);
#endif
}

// Rights on a table any of which LOCK … IN SHARE MODE is content with.
#if PG_VERSION_NUM >= 170000
constexpr AclMode kMayLockShare = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | ACL_MAINTAIN;
#else
constexpr AclMode kMayLockShare = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
#endif

inline bool MayUseSchema(Oid schema) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, GetUserId(), ACL_USAGE) == ACLCHECK_OK;
#endif
}

// Calls f for each child of a node of the raw grammar.
inline bool WalkRawTree(Node* node, bool (*f)(Node*, void*), void* context) {
#if PG_VERSION_NUM >= 160000
    return raw_expression_tree_walker(node, f, context);
#else
    return raw_expression_tree_walker(node, (bool (*)())(void (*)())f, context);
#endif
}

// All settings there are; 16 keeps them in a hash, and gives a copy.
inline struct config_generic** ConfigVariables(int* count) {
#if PG_VERSION_NUM >= 160000
    return get_guc_variables(count);
#else
    *count = GetNumConfigOptions();
    return get_guc_variables();
#endif
}

// A statement to its end, with nobody to see its rows.
inline void RunPortal(Portal portal) {
#if PG_VERSION_NUM >= 180000
    (void)PortalRun(portal, FETCH_ALL, true, None_Receiver, None_Receiver, NULL);
#else
    (void)PortalRun(portal, FETCH_ALL, true, true, None_Receiver, None_Receiver, NULL);
#endif
}
