// vm_is_switched, which applications ask on every request, and what keeps its answers true.
#include "pg/switch/flag.h"

#include "pg/server/tables.h"

extern "C" {
#include <access/htup_details.h>
#include <access/skey.h>
#include <commands/async.h>
#include <common/hashfn.h>
#include <utils/fmgroids.h>
#include <utils/hsearch.h>
#include <utils/json.h>
#include <utils/snapmgr.h>

PG_FUNCTION_INFO_V1(vm_is_switched);
PG_FUNCTION_INFO_V1(vm_flag_changed);
}

// Columns of vm_flag.
static constexpr int kKeyColumns = 3;  // tenant, project, entity
static constexpr AttrNumber kSwitched = 4;

struct FlagKey {
    const char* text[kKeyColumns];
    int len[kKeyColumns];
};

// An answer is good for the transaction it was given in, whatever happens meanwhile: an application must not
// see two truths. It is good for another transaction while vm_flag has not changed since it was read.
struct FlagAnswer {
    FlagKey key;        // dynahash wants it first; the texts are the cache's own
    uint64 generation;  // of vm_flag when it was read, 0 if it must not outlive its transaction
    uint64 told_in;     // the transaction that was told last
    bool switched;
};

static constexpr long kFewest = 10000;  // answers that are kept whatever becomes of them
static HTAB* answers = NULL;
static MemoryContext memory = NULL;  // of the answers and their keys
static long most = kFewest;          // answers until those of past transactions go
static Oid flag_table = InvalidOid;  // as last seen
static uint64 generation = 1;        // grows when vm_flag changes
static uint64 transaction = 1;       // grows when a transaction ends
static uint64 changed_in = 0;        // the transaction that has changed vm_flag itself

static uint32 HashKey(const void* key, Size) {
    const FlagKey* k = (const FlagKey*)key;
    uint32 hash = 0;
    for (int i = 0; i < kKeyColumns; i++)
        hash = hash_combine(hash, hash_bytes((const unsigned char*)k->text[i], k->len[i]));
    return hash;
}

static int CompareKeys(const void* a, const void* b, Size) {
    const FlagKey* l = (const FlagKey*)a;
    const FlagKey* r = (const FlagKey*)b;
    for (int i = 0; i < kKeyColumns; i++)
        if (l->len[i] != r->len[i] || memcmp(l->text[i], r->text[i], l->len[i]) != 0) return 1;
    return 0;
}

// May run at any moment: sets flags only.
static void OnRelationChange(Datum, Oid relation) {
    if (relation == InvalidOid || relation == flag_table) generation++;
}

static void OnTransactionEnd(XactEvent event, void*) {
    if (event != XACT_EVENT_PRE_COMMIT && event != XACT_EVENT_PARALLEL_PRE_COMMIT &&
        event != XACT_EVENT_PRE_PREPARE)
        transaction++;
}

static void CreateCache(void) {
    if (answers != NULL) return;
    static bool registered = false;
    if (!registered) {
        CacheRegisterRelcacheCallback(OnRelationChange, (Datum)0);
        RegisterXactCallback(OnTransactionEnd, NULL);
        registered = true;
    }
    if (memory == NULL)
        memory = AllocSetContextCreate(CacheMemoryContext, "voucher_migrate flags", ALLOCSET_DEFAULT_SIZES);
    HASHCTL control = {};
    control.keysize = sizeof(FlagKey);
    control.entrysize = sizeof(FlagAnswer);
    control.hash = HashKey;
    control.match = CompareKeys;
    control.hcxt = memory;
    answers = hash_create("voucher_migrate flags", 256, &control,
                          HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

// Makes room: only what this transaction was told stays.
static void ForgetOthers(void) {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, answers);
    for (FlagAnswer* answer; (answer = (FlagAnswer*)hash_seq_search(&scan)) != NULL;) {
        if (answer->told_in == transaction) continue;
        char* texts = (char*)answer->key.text[0];
        hash_search(answers, &answer->key, HASH_REMOVE, NULL);
        pfree(texts);
    }
    most = Max(kFewest, 2 * hash_get_num_entries(answers));
}

static void Remember(const FlagKey* key, uint64 read_at, bool switched) {
    FlagAnswer* answer = (FlagAnswer*)hash_search(answers, key, HASH_FIND, NULL);
    if (answer == NULL) {
        if (hash_get_num_entries(answers) >= most) ForgetOthers();
        FlagKey own = *key;
        Size size = 1;
        for (int len : key->len) size += len;
        char* texts = (char*)MemoryContextAlloc(memory, size);
        for (int i = 0; i < kKeyColumns; i++) {
            own.text[i] = (char*)memcpy(texts, key->text[i], key->len[i]);
            texts += key->len[i];
        }
        answer = (FlagAnswer*)hash_search(answers, &own, HASH_ENTER, NULL);
    }
    answer->generation = read_at;
    answer->told_in = transaction;
    answer->switched = switched;
}

// Straight from the table, by no user's rights: it costs an index lookup. `snapshot` NULL: a fresh one.
static bool ReadRow(Relation flags, Snapshot snapshot, const Datum* key) {
    list_free(RelationGetIndexList(flags));
    ScanKeyData keys[kKeyColumns];
    for (int i = 0; i < kKeyColumns; i++)
        ScanKeyEntryInitialize(&keys[i], 0, i + 1, BTEqualStrategyNumber, TEXTOID,
                               TupleDescAttr(RelationGetDescr(flags), i)->attcollation, F_TEXTEQ, key[i]);
    SysScanDesc scan = systable_beginscan(flags, flags->rd_pkindex, OidIsValid(flags->rd_pkindex), snapshot,
                                          kKeyColumns, keys);
    HeapTuple row = systable_getnext(scan);
    bool null;
    bool switched =
        HeapTupleIsValid(row) && DatumGetBool(heap_getattr(row, kSwitched, RelationGetDescr(flags), &null));
    systable_endscan(scan);
    return switched;
}

// Not from the cache.
static bool ReadAnswer(FunctionCallInfo fcinfo, const FlagKey* key) {
    Oid table = ExtensionTable(ExtensionSchema(fcinfo), "vm_flag");
    if (table != flag_table) {
        flag_table = table;
        generation++;
    }
    Datum values[kKeyColumns];
    for (int i = 0; i < kKeyColumns; i++) values[i] = PG_GETARG_DATUM(i);
    Relation flags = table_open(table, AccessShareLock);
    // A change whose message has not come yet by now makes the answer stale when it does.
    uint64 read_at = generation;
    bool old_snapshot = IsolationUsesXactSnapshot();
    bool switched = ReadRow(flags, old_snapshot ? GetTransactionSnapshot() : NULL, values);
    table_close(flags, AccessShareLock);
    // What this transaction has changed it may yet undo.
    if (changed_in != transaction) Remember(key, old_snapshot ? 0 : read_at, switched);
    return switched;
}

static char* Payload(const char* tenant, const char* project, const char* entity, bool switched) {
    StringInfoData json;
    initStringInfo(&json);
    const char* const names[] = {"tenant", "project", "entity"};
    const char* const values[] = {tenant, project, entity};
    for (int i = 0; i < kKeyColumns; i++) {
        appendStringInfo(&json, "%s\"%s\": ", i == 0 ? "{" : ", ", names[i]);
        escape_json(&json, values[i]);
    }
    appendStringInfo(&json, ", \"switched\": %s}", switched ? "true" : "false");
    constexpr int kLongest = 7900;  // NOTIFY would refuse it; empty it means that something has changed
    return json.len <= kLongest ? json.data : pstrdup("");
}

bool ReadFlag(Oid schema, const char* tenant, const char* project, const char* entity, TimestampTz* since) {
    SqlArg args[] = {TextArg(tenant), TextArg(project), TextArg(entity)};
    SqlResult row =
        RunAsOwner(schema,
                   psprintf("SELECT switched, changed_at FROM %s WHERE tenant = $1 AND project = $2 "
                            "AND entity = $3",
                            ExtensionName(schema, "vm_flag")),
                   args, lengthof(args), 2);
    if (since != NULL) *since = row.found ? DatumGetTimestampTz(row.value[1]) : 0;
    return row.found && DatumGetBool(row.value[0]);
}

TimestampTz WriteFlag(Oid schema, const char* tenant, const char* project, const char* entity,
                      bool switched) {
    SqlArg args[] = {TextArg(tenant),
                     TextArg(project),
                     TextArg(entity),
                     {BOOLOID, BoolGetDatum(switched), false},
                     TextArg(GetUserNameFromId(GetUserId(), false))};
    SqlResult row = RunAsOwner(
        schema,
        psprintf(
            "INSERT INTO %s (tenant, project, entity, switched, changed_by, changed_at) VALUES ($1, $2, "
            "$3, $4, $5, clock_timestamp()) ON CONFLICT (tenant, project, entity) DO UPDATE SET switched "
            "= excluded.switched, changed_by = excluded.changed_by, changed_at = excluded.changed_at "
            "RETURNING changed_at",
            ExtensionName(schema, "vm_flag")),
        args, lengthof(args), 1);
    Async_Notify("voucher_migrate", Payload(tenant, project, entity, switched));
    return DatumGetTimestampTz(row.value[0]);
}

extern "C" {

// vm_is_switched(tenant, project, entity) → boolean. False for what is unknown. STRICT.
Datum vm_is_switched(PG_FUNCTION_ARGS) {
    FlagKey key;
    for (int i = 0; i < kKeyColumns; i++) {
        text* value = PG_GETARG_TEXT_PP(i);
        key.text[i] = VARDATA_ANY(value);
        key.len[i] = (int)VARSIZE_ANY_EXHDR(value);
    }
    CreateCache();
    if (changed_in == transaction) PG_RETURN_BOOL(ReadAnswer(fcinfo, &key));
    FlagAnswer* answer = (FlagAnswer*)hash_search(answers, &key, HASH_FIND, NULL);
    if (answer != NULL && answer->told_in == transaction) PG_RETURN_BOOL(answer->switched);
    // Once in a transaction for each key: others may have changed the flag since it began.
    AcceptInvalidationMessages();
    if (answer == NULL || answer->generation != generation || IsolationUsesXactSnapshot())
        PG_RETURN_BOOL(ReadAnswer(fcinfo, &key));
    answer->told_in = transaction;
    PG_RETURN_BOOL(answer->switched);
}

// Trigger of vm_flag, of its rows and of TRUNCATE: every backend's answers are out of date. By rows, because
// logical replication fires no others.
Datum vm_flag_changed(PG_FUNCTION_ARGS) {
    if (!CALLED_AS_TRIGGER(fcinfo)) elog(ERROR, "vm_flag_changed is a trigger function");
    CreateCache();
    changed_in = transaction;
    CacheInvalidateRelcacheByRelid(RelationGetRelid(((TriggerData*)fcinfo->context)->tg_relation));
    PG_RETURN_POINTER(NULL);
}
}
