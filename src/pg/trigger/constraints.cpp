#include "pg/trigger/constraints.h"

#include "pg/server/tables.h"

extern "C" {
#include <access/genam.h>
#include <access/stratnum.h>
#include <access/tableam.h>
#include <catalog/pg_index.h>
#include <executor/executor.h>
#include <optimizer/optimizer.h>
#include <utils/snapmgr.h>
}

struct UniqueKey {
    Oid index;
    int columns;
    AttrNumber attno[INDEX_MAX_KEYS];
};

struct ChildConstraints {
    MemoryContext context;
    AttrNumber id_att;
    int checks;
    char** check_name;
    ExprState** check;
    int keys;
    UniqueKey* key;
};

static void ReadChecks(Relation rel, ChildConstraints* constraints) {
    TupleConstr* constr = RelationGetDescr(rel)->constr;
    int n = constr ? constr->num_check : 0;
    if (n == 0) return;
    constraints->check_name = (char**)palloc(sizeof(char*) * n);
    constraints->check = (ExprState**)palloc(sizeof(ExprState*) * n);
    for (int i = 0; i < n; i++) {
        Expr* expression = expression_planner((Expr*)stringToNode(constr->check[i].ccbin));
        constraints->check_name[i] = pstrdup(constr->check[i].ccname);
        constraints->check[i] = ExecInitExpr(expression, NULL);
    }
    constraints->checks = n;
}

static void ReadKeys(Relation rel, ChildConstraints* constraints) {
    List* indexes = RelationGetIndexList(rel);
    constraints->key = (UniqueKey*)palloc0(sizeof(UniqueKey) * (list_length(indexes) + 1));
    ListCell* cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        Form_pg_index form = index->rd_index;
        UniqueKey* key = &constraints->key[constraints->keys];
        bool usable = form->indisunique && !form->indisexclusion && form->indisvalid && form->indimmediate &&
                      RelationGetIndexExpressions(index) == NIL && RelationGetIndexPredicate(index) == NIL;
        key->columns = form->indnkeyatts;
        for (int k = 0; usable && k < key->columns; k++) {
            key->attno[k] = form->indkey.values[k];
            // The feed itself has to settle what to do about an _id that comes twice.
            usable = key->attno[k] > 0 && key->attno[k] != constraints->id_att;
        }
        if (usable) {
            key->index = RelationGetRelid(index);
            constraints->keys++;
        }
        index_close(index, AccessShareLock);
    }
}

ChildConstraints* ReadConstraints(Relation rel, AttrNumber id_att) {
    ChildConstraints* constraints = (ChildConstraints*)palloc0(sizeof(ChildConstraints));
    constraints->context = CurrentMemoryContext;
    constraints->id_att = id_att;
    ReadChecks(rel, constraints);
    ReadKeys(rel, constraints);
    return constraints->checks + constraints->keys > 0 ? constraints : NULL;
}

static void CheckChecks(ChildConstraints* constraints, Relation rel, HeapTuple row) {
    TupleTableSlot* slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
    ExprContext* context = CreateStandaloneExprContext();
    ExecStoreHeapTuple(row, slot, false);
    context->ecxt_scantuple = slot;
    for (int i = 0; i < constraints->checks; i++)
        if (!ExecCheck(constraints->check[i], context))
            ereport(ERROR, (errcode(ERRCODE_CHECK_VIOLATION),
                            errmsg("new row for relation \"%s\" violates check constraint \"%s\"",
                                   RelationGetRelationName(rel), constraints->check_name[i])));
    FreeExprContext(context, true);
    ExecDropSingleTupleTableSlot(slot);
}

// False if a column is NULL: such a row is in nobody's way.
static bool SetKeys(ScanKey keys, const UniqueKey* key, Relation index, HeapTuple row, TupleDesc desc) {
    for (int k = 0; k < key->columns; k++) {
        bool null;
        Datum value = heap_getattr(row, key->attno[k], desc, &null);
        if (null) return false;
        Oid type = index->rd_opcintype[k];
        Oid equal = get_opfamily_member(index->rd_opfamily[k], type, type, BTEqualStrategyNumber);
        if (!OidIsValid(equal)) elog(ERROR, "no equality for a column of index %u", key->index);
        ScanKeyEntryInitialize(&keys[k], 0, (AttrNumber)(k + 1), BTEqualStrategyNumber, type,
                               index->rd_indcollation[k], get_opcode(equal), value);
    }
    return true;
}

// A column as text, or NULL.
static char* TextOf(AttrNumber att, TupleTableSlot* slot) {
    bool null, varlena;
    Oid output;
    if (att == InvalidAttrNumber) return NULL;
    Datum value = slot_getattr(slot, att, &null);
    if (null) return NULL;
    getTypeOutputInfo(TupleDescAttr(slot->tts_tupleDescriptor, att - 1)->atttypid, &output, &varlena);
    return OidOutputFunctionCall(output, value);
}

// The document that is being stored.
struct Stored {
    HeapTuple row;
    AttrNumber id_att;
    char* id;  // or NULL
};

// In the index itself: a query would be planned while the child is empty, and may read another index from end
// to end for each row of a first copy.
static void CheckKey(const UniqueKey* key, Relation rel, const Stored* stored, HeapTuple old) {
    ScanKeyData keys[INDEX_MAX_KEYS];
    Relation index = index_open(key->index, AccessShareLock);
    if (SetKeys(keys, key, index, stored->row, RelationGetDescr(rel))) {
        TupleTableSlot* slot = table_slot_create(rel, NULL);
        IndexScanDesc scan = BeginIndexScan(rel, index, SnapshotSelf, key->columns);
        index_rescan(scan, keys, key->columns, NULL, 0);
        bool taken = false;
        char* other = NULL;
        while (!taken && index_getnext_slot(scan, ForwardScanDirection, slot)) {
            if (old != NULL && ItemPointerEquals(&slot->tts_tid, &old->t_self)) continue;
            other = TextOf(stored->id_att, slot);
            bool same =
                stored->id_att != InvalidAttrNumber &&
                (other == NULL || stored->id == NULL ? other == stored->id : strcmp(other, stored->id) == 0);
            taken = !same;
        }
        index_endscan(scan);
        ExecDropSingleTupleTableSlot(slot);
        if (taken)
            ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
                            errmsg("duplicate key value violates unique constraint \"%s\"",
                                   RelationGetRelationName(index)),
                            errdetail("Document _id %s has it already.", other ? other : "(none)")));
    }
    index_close(index, AccessShareLock);
}

void CheckConstraints(ChildConstraints* constraints, Relation rel, HeapTuple row, HeapTuple old) {
    if (constraints->checks > 0) CheckChecks(constraints, rel, row);
    if (constraints->keys == 0) return;

    Stored stored = {row, constraints->id_att, NULL};
    if (constraints->id_att != InvalidAttrNumber) {
        TupleTableSlot* slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);
        ExecStoreHeapTuple(row, slot, false);
        stored.id = TextOf(constraints->id_att, slot);
        ExecDropSingleTupleTableSlot(slot);
    }
    // As the server does for foreign keys, the table's owner answers for what its types' functions do.
    AsOwner owner = EnterAsTableOwner(RelationGetRelid(rel));
    for (int i = 0; i < constraints->keys; i++) CheckKey(&constraints->key[i], rel, &stored, old);
    LeaveAsOwner(owner);
}
