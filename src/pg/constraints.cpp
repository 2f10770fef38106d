#include "pg/constraints.h"

#include "pg/tables.h"

extern "C" {
#include <access/genam.h>
#include <catalog/pg_index.h>
#include <catalog/pg_operator.h>
#include <executor/executor.h>
#include <optimizer/optimizer.h>
}

struct UniqueKey {
    char* index;      // its name
    char* sql;        // finds another row with this key
    SPIPlanPtr plan;  // the same prepared, once it has been asked
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

// SELECT … WHERE a = $2 AND … AND another _id, each column by the index's own equality.
static char* ConflictSql(Relation rel, Relation index, UniqueKey* key, AttrNumber id_att) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql, "SELECT %s FROM ONLY %s WHERE ctid <> $1",
                     id_att == InvalidAttrNumber ? "NULL::text" : "_id::text",
                     QualifiedName(RelationGetRelid(rel)));
    for (int k = 0; k < key->columns; k++)
        appendStringInfo(&sql, " AND %s %s $%d",
                         quote_identifier(get_attname(RelationGetRelid(rel), key->attno[k], false)),
                         IndexEquality(index, k), k + 3);
    if (id_att != InvalidAttrNumber)
        appendStringInfoString(&sql, " AND _id::text IS DISTINCT FROM $2");
    else
        appendStringInfoString(&sql, " AND $2 IS NULL");
    appendStringInfoString(&sql, " LIMIT 1");
    return sql.data;
}

static void ReadKeys(Relation rel, ChildConstraints* constraints) {
    List* indexes = RelationGetIndexList(rel);
    constraints->key = (UniqueKey*)palloc0(sizeof(UniqueKey) * (list_length(indexes) + 1));
    ListCell* cell;
    foreach (cell, indexes) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        Form_pg_index form = index->rd_index;
        UniqueKey* key = &constraints->key[constraints->keys];
        bool usable = form->indisunique && form->indisvalid && form->indimmediate &&
                      RelationGetIndexExpressions(index) == NIL && RelationGetIndexPredicate(index) == NIL;
        key->columns = form->indnkeyatts;
        for (int k = 0; usable && k < key->columns; k++) {
            key->attno[k] = form->indkey.values[k];
            // The feed itself has to settle what to do about an _id that comes twice.
            usable = key->attno[k] > 0 && key->attno[k] != constraints->id_att;
        }
        if (usable) {
            key->index = pstrdup(RelationGetRelationName(index));
            key->sql = ConflictSql(rel, index, key, constraints->id_att);
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

static void FreePlan(void* plan) {
    SPI_freeplan((SPIPlanPtr)plan);
}

// Prepares the query; the plan is freed with `context`. SPI is connected.
static void PrepareKey(UniqueKey* key, const Oid* types, MemoryContext context) {
    SPIPlanPtr plan = SPI_prepare(key->sql, key->columns + 2, (Oid*)types);
    if (plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    MemoryContextCallback* callback =
        (MemoryContextCallback*)MemoryContextAllocZero(context, sizeof(*callback));
    callback->func = FreePlan;
    callback->arg = plan;
    SPI_keepplan(plan);
    MemoryContextRegisterResetCallback(context, callback);
    key->plan = plan;
}

static void CheckKey(UniqueKey* key, Relation rel, HeapTuple row, ItemPointer self, SqlArg id,
                     MemoryContext context) {
    TupleDesc desc = RelationGetDescr(rel);
    Oid types[INDEX_MAX_KEYS + 2] = {TIDOID, TEXTOID};
    Datum values[INDEX_MAX_KEYS + 2] = {PointerGetDatum(self), id.value};
    char nulls[INDEX_MAX_KEYS + 2] = {' ', id.null ? 'n' : ' '};
    for (int k = 0; k < key->columns; k++) {
        bool null;
        types[k + 2] = TupleDescAttr(desc, key->attno[k] - 1)->atttypid;
        values[k + 2] = heap_getattr(row, key->attno[k], desc, &null);
        nulls[k + 2] = ' ';
        if (null) return;
    }
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    if (key->plan == NULL) PrepareKey(key, types, context);
    int code = SPI_execute_plan(key->plan, values, nulls, false, 1);
    if (code < 0) elog(ERROR, "SPI_execute_plan failed: %s", SPI_result_code_string(code));
    if (SPI_processed > 0) {
        char* other = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
        ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION),
                        errmsg("duplicate key value violates unique constraint \"%s\"", key->index),
                        errdetail("Document _id %s has it already.", other ? other : "(none)")));
    }
    SPI_finish();
}

void CheckConstraints(ChildConstraints* constraints, Relation rel, HeapTuple row, HeapTuple old) {
    if (constraints->checks > 0) CheckChecks(constraints, rel, row);
    if (constraints->keys == 0) return;

    ItemPointerData nowhere;
    ItemPointerSet(&nowhere, MaxBlockNumber, MaxOffsetNumber);
    SqlArg id = {TEXTOID, (Datum)0, true};
    if (constraints->id_att != InvalidAttrNumber) {
        bool null, varlena;
        Oid output;
        Datum value = heap_getattr(row, constraints->id_att, RelationGetDescr(rel), &null);
        if (!null) {
            getTypeOutputInfo(TupleDescAttr(RelationGetDescr(rel), constraints->id_att - 1)->atttypid,
                              &output, &varlena);
            id = TextArg(OidOutputFunctionCall(output, value));
        }
    }
    // A feed's role need not be able to read the child: as the server does for foreign keys, its owner does.
    AsOwner owner = EnterAsTableOwner(RelationGetRelid(rel));
    for (int i = 0; i < constraints->keys; i++)
        CheckKey(&constraints->key[i], rel, row, old ? &old->t_self : &nowhere, id, constraints->context);
    LeaveAsOwner(owner);
}
