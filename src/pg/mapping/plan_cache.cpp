#include "pg/mapping/plan_cache.h"

extern "C" {
#include <catalog/pg_proc.h>
#include <utils/hsearch.h>
}

#include "pg/server/caught.h"
#include "pg/trigger/document.h"
#include "pg/child/pool_child.h"
#include "pg/server/tables.h"

static HTAB* cache = NULL;
static Oid mapping_table = InvalidOid;  // vm_mapping, as last seen
static MemoryContext retired = NULL;  // parent of what is no longer current; emptied when a transaction ends

static void FreePlan(void* plan) {
    wall::Free((vm::Plan*)plan);
}

// May run at any moment: sets flags only.
static void OnRelationChange(Datum, Oid relation) {
    if (cache == NULL) return;
    bool all = relation == InvalidOid || relation == mapping_table;
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache);
    for (PlanEntry* entry; (entry = (PlanEntry*)hash_seq_search(&scan)) != NULL;)
        if (all || entry->relation == relation) entry->stale = true;
}

static void OnTransactionEnd(XactEvent event, void*) {
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE)
        MemoryContextDeleteChildren(retired);
}

static void CreateCache(void) {
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(PlanEntry);
    retired =
        AllocSetContextCreate(CacheMemoryContext, "voucher_migrate retired plans", ALLOCSET_SMALL_SIZES);
    cache = hash_create("voucher_migrate plans", 64, &control, HASH_ELEM | HASH_BLOBS);
    CacheRegisterRelcacheCallback(OnRelationChange, (Datum)0);
    RegisterXactCallback(OnTransactionEnd, NULL);
}

void RaiseBadRule(const char* mapping, Relation rel, const wall::Problem* problem) {
    if (problem->reason == wall::Reason::OutOfMemory)
        ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
    if (problem->reason != wall::Reason::BadRule)
        elog(ERROR, "compiling mapping \"%s\" failed unexpectedly", mapping);
    char* detail = problem->path[0] ? psprintf("The key at fault is %s.", problem->path) : NULL;
    if (rel != NULL)
        detail = psprintf("%s%sThe table is %s.", detail ? detail : "", detail ? " " : "",
                          QualifiedName(RelationGetRelid(rel)));
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("mapping \"%s\": %s", mapping, problem->text),
             detail ? errdetail("%s", detail) : 0, problem->hint[0] ? errhint("%s", problem->hint) : 0,
             rel ? errtable(rel) : 0));
}

char* MappingRules(Oid schema, const char* mapping) {
    SqlArg args[] = {TextArg(mapping)};
    SqlResult result =
        RunAsOwner(schema,
                   psprintf("SELECT rules::text FROM %s WHERE mapping = $1 ORDER BY shipped LIMIT 1",
                            ExtensionName(schema, "vm_mapping")),
                   args, 1, 1);
    return result.found ? TextDatumGetCString(result.value[0]) : NULL;
}

// A default on its way through the type's own functions, where an error can be caught.
struct DefaultTrial {
    ColumnIo* io;
    const wall::Row* row;
    const wall::Value* value;
};

static void TryDefault(void* arg) {
    DefaultTrial* trial = (DefaultTrial*)arg;
    bool null;
    ValueDatum(trial->io, trial->row, trial->value, &null);
}

// Refuses defaults that only the server can tell are no values of their columns' types.
static void CheckDefaults(CompiledMapping* compiled, Relation rel) {
    vm::Workspace* space = TakeWorkspace();
    wall::ReadOptions options = {true, false, true, NULL};
    wall::Row row;
    wall::Problem problem;
    if (wall::Transform(space, compiled->plan, {"{}", 2}, options, &row, &problem) != wall::Reason::None)
        elog(ERROR, "trying the defaults of mapping \"%s\" failed", compiled->mapping);
    for (uint32 c = 0; c < compiled->info.columns; c++) {
        DefaultTrial trial = {compiled->io[c], &row, &row.values[c]};
        if (!trial.io->fallible || trial.value->source != vm::kFromDefault) continue;
        ErrorData* error = RunCaught(TryDefault, &trial);
        if (error == NULL) continue;
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("mapping \"%s\": the default of column \"%s\" is no value of its type", compiled->mapping,
                    trial.io->name),
             errdetail("%s. The table is %s.", ReadableMessage(error), QualifiedName(RelationGetRelid(rel))),
             errhint("Mend columns.%s.default with vm_define_mapping.", trial.io->name), errtable(rel)));
    }
    GiveBackWorkspace(space, 0);
}

void RaiseNoMapping(Oid schema, const char* mapping) {
    constexpr int kMost = 20;
    SqlArg args[] = {{INT4OID, Int32GetDatum(kMost), false}};
    SqlResult known =
        RunAsOwner(schema,
                   psprintf("SELECT string_agg(CASE WHEN n > $1 THEN '...' ELSE mapping END, ', ' ORDER "
                            "BY n) FROM (SELECT mapping, row_number() OVER (ORDER BY mapping COLLATE "
                            "\"C\") AS n FROM %s GROUP BY mapping LIMIT $1 + 1) m",
                            ExtensionName(schema, "vm_mapping")),
                   args, 1, 1);
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT), errmsg("mapping \"%s\" does not exist", mapping),
                    known.null[0] ? 0 : errdetail("Defined: %s.", TextOrNull(&known, 0)),
                    errhint("Define it with vm_define_mapping, or see the table vm_mapping.")));
}

CompiledMapping* CompileMapping(Oid schema, const char* mapping, Relation rel, char** args, int nargs,
                                MemoryContext parent) {
    char* rules = MappingRules(schema, mapping);
    if (rules == NULL) RaiseNoMapping(schema, mapping);

    // Under the caller's context until nothing can fail any more.
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate plan", ALLOCSET_SMALL_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    CompiledMapping* compiled = (CompiledMapping*)palloc0(sizeof(CompiledMapping));
    MemoryContextCallback* callback = (MemoryContextCallback*)palloc0(sizeof(MemoryContextCallback));
    compiled->context = context;
    compiled->schema = schema;
    compiled->mapping = pstrdup(mapping);
    compiled->table = ReadColumns(rel);

    wall::Problem problem = {};
    compiled->plan = wall::Compile({rules, strlen(rules)}, compiled->table.specs, compiled->table.count, args,
                                   nargs, &problem);
    if (compiled->plan == NULL) {
        MemoryContextSwitchTo(caller);
        MemoryContextDelete(context);
        RaiseBadRule(mapping, rel, &problem);
    }
    callback->func = FreePlan;
    callback->arg = compiled->plan;
    MemoryContextRegisterResetCallback(context, callback);

    compiled->info = wall::Describe(compiled->plan);
    compiled->io = (ColumnIo**)palloc0(sizeof(ColumnIo*) * (compiled->info.columns + 1));
    for (int i = 0; i < compiled->table.count; i++) {
        int column = compiled->info.column_of[i];
        if (column < 0) continue;
        compiled->io[column] = &compiled->table.io[i];
        compiled->any_fallible |= compiled->table.io[i].fallible;
    }
    if (nargs >= 0 && compiled->any_fallible) CheckDefaults(compiled, rel);
    if (compiled->info.quarantine) {
        compiled->constraints = ReadConstraints(rel, compiled->table.id_att);
        compiled->any_fallible |= compiled->constraints != NULL;
    }
    MemoryContextSwitchTo(caller);
    MemoryContextSetParent(context, parent);
    return compiled;
}

PlanEntry* LookUpPlan(Oid schema, const char* mapping, Relation rel, Trigger* trigger, int first_arg) {
    if (cache == NULL) CreateCache();
    bool found;
    PlanEntry* entry = (PlanEntry*)hash_search(cache, &trigger->tgoid, HASH_ENTER, &found);
    if (!found) {
        entry->relation = RelationGetRelid(rel);
        entry->stale = true;
        entry->compiled = NULL;
        entry->feed_noted = 0;
    }
    if (!entry->stale && entry->compiled != NULL) return entry;

    mapping_table = ExtensionTable(schema, "vm_mapping");
    if (entry->compiled != NULL) {
        MemoryContextSetParent(entry->compiled->context, retired);
        entry->compiled = NULL;
    }
    // Changes that arrive while it is compiled make it stale again.
    entry->stale = false;
    entry->relation = RelationGetRelid(rel);
    char** args = trigger->tgargs + first_arg;
    int nargs = trigger->tgnargs - first_arg;
    char* served[2];
    if (nargs == 0 && ServedProject(schema, RelationGetRelid(rel), served)) {
        args = served;
        nargs = lengthof(served);
    }
    entry->compiled = CompileMapping(schema, mapping, rel, args, nargs, CacheMemoryContext);
    return entry;
}

char* MappingOfChild(Oid schema, Relation rel, char*** args, int* nargs) {
    TriggerDesc* triggers = rel->trigdesc;
    for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++) {
        Trigger* trigger = &triggers->triggers[i];
        if (get_func_namespace(trigger->tgfoid) != schema) continue;
        char* function = get_func_name(trigger->tgfoid);
        char* mapping = NULL;
        int first = 0;
        if (strcmp(function, "vm_transform") == 0 && trigger->tgnargs > 0) {
            mapping = trigger->tgargs[0];
            first = 1;
        } else if (strcmp(function, "transform_voucher") == 0) {
            mapping = (char*)"voucher";
        } else if (strcmp(function, "transform_campaign") == 0) {
            mapping = (char*)"campaign";
        }
        if (mapping == NULL) continue;
        if (args != NULL) {
            *args = trigger->tgargs + first;
            *nargs = trigger->tgnargs - first;
        }
        return pstrdup(mapping);
    }
    return NULL;
}
