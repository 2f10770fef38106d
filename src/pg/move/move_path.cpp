#include "pg/move/move_path.h"

extern "C" {
#include <access/tableam.h>
#include <commands/extension.h>
#include <executor/executor.h>
#include <utils/rls.h>
}

static bool IsHeap(Relation rel) {
    return rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_tableam == GetHeapamTableAmRoutine();
}

static bool HasRowSecurity(Relation rel) {
    return check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED;
}

// Why rows of the child cannot be claimed in the table itself; NULL if they can.
static const char* DeleteBySql(Relation child) {
    const TriggerDesc* triggers = child->trigdesc;
    if (!IsHeap(child)) return "the child is no heap table";
    if (child->rd_rules != NULL) return "the child has rules";
    if (HasRowSecurity(child)) return "the child has row security";
    if (triggers != NULL && (triggers->trig_delete_before_row || triggers->trig_delete_after_row ||
                             triggers->trig_delete_before_statement || triggers->trig_delete_after_statement))
        return "the child has triggers on DELETE";
    return NULL;
}

// Why rows cannot be written to the parent itself; NULL if they can.
static const char* InsertBySql(const MoveTarget* target) {
    Relation parent = target->parent;
    const TriggerDesc* triggers = parent->trigdesc;
    const TupleConstr* constraints = RelationGetDescr(parent)->constr;
    if (target->partitioned) return "the parent is partitioned";
    if (!IsHeap(parent) || parent->rd_rel->relispartition) return "the parent is no heap table";
    if (OidIsValid(get_extension_oid("citus", true))) return "the parent may be distributed";
    if (parent->rd_rules != NULL) return "the parent has rules";
    if (HasRowSecurity(parent)) return "the parent has row security";
    if (triggers != NULL && (triggers->trig_insert_before_row || triggers->trig_insert_after_row ||
                             triggers->trig_insert_before_statement || triggers->trig_insert_after_statement))
        return "the parent has triggers or foreign keys";
    if (constraints != NULL && HasGeneratedColumns(constraints)) return "the parent has generated columns";
    if (!target->unique) return "a key may stand in the child more than once";
    List* indexes = RelationGetIndexList(parent);
    ListCell* cell;
    foreach (cell, indexes) {
        Relation index = relation_open(lfirst_oid(cell), AccessShareLock);
        bool exclusion = index->rd_index->indisexclusion, immediate = index->rd_index->indimmediate;
        relation_close(index, AccessShareLock);
        if (exclusion || !immediate) return "the parent has exclusion or deferrable constraints";
    }
    if (pg_class_aclcheck(RelationGetRelid(parent), GetUserId(), ACL_INSERT) != ACLCHECK_OK)
        return "the caller may insert into some columns only";
    return NULL;
}

static void CheckRight(Relation rel, AclMode mode) {
    AclResult result = pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), mode);
    if (result != ACLCHECK_OK) aclcheck_error(result, OBJECT_TABLE, RelationGetRelationName(rel));
}

// INSERT on the table, or on each column that is written.
static void CheckInsert(const MoveTarget* target) {
    Relation parent = target->parent;
    Oid oid = RelationGetRelid(parent);
    if (pg_class_aclcheck(oid, GetUserId(), ACL_INSERT) == ACLCHECK_OK) return;
    for (int i = 0; i < RelationGetNumberOfAttributes(parent); i++)
        if (target->map[i] != InvalidAttrNumber &&
            pg_attribute_aclcheck(oid, i + 1, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
            aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(parent));
}

static void CheckSchema(Relation rel) {
    Oid schema = RelationGetNamespace(rel);
    if (!MayUseSchema(schema)) aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_SCHEMA, get_namespace_name(schema));
}

void ChoosePath(MoveTarget* target) {
    CheckSchema(target->child);
    CheckSchema(target->parent);
    CheckRight(target->child, ACL_SELECT);
    CheckRight(target->child, ACL_DELETE);
    CheckInsert(target);
    CheckCmdReplicaIdentity(target->child, CMD_DELETE);
    const char* no_delete = DeleteBySql(target->child);
    const char* no_insert = InsertBySql(target);
    target->row_security = HasRowSecurity(target->parent);
    target->native_delete = no_delete == NULL;
    target->native_insert = no_insert == NULL;
    // Without a claim in the table only a lock keeps racing writers from finding nothing.
    target->locking = target->native_delete ? target->options.locking : Locking::Lock;
    if (no_insert != NULL && no_delete != NULL)
        target->path = psprintf("SQL, under a lock: %s; %s", no_delete, no_insert);
    else if (no_delete != NULL)
        target->path = psprintf("native, SQL DELETE under a lock: %s", no_delete);
    else
        target->path = no_insert ? psprintf("SQL: %s", no_insert) : pstrdup("native");
}
