#include "pg/switch/drain.h"

#include "pg/server/tables.h"

extern "C" {
#include <access/heapam.h>
#include <access/tableam.h>
#include <access/transam.h>
#include <access/visibilitymap.h>
#include <pgstat.h>
#include <storage/bufmgr.h>
#include <storage/latch.h>
#include <storage/procarray.h>
#include <utils/snapmgr.h>
}

static constexpr int64 kSecond = 1000 * 1000;
static constexpr int64 kTellEvery = 30 * kSecond;  // that it still waits, and why

void SleepFor(int64 microseconds) {
    TimestampTz until = GetCurrentTimestamp() + microseconds;
    for (int64 left = microseconds; left > 0; left = until - GetCurrentTimestamp()) {
        (void)WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, (long)((left + 999) / 1000),
                        PG_WAIT_EXTENSION);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

void RequireHeap(Relation rel) {
    if (rel->rd_tableam == GetHeapamTableAmRoutine()) return;
    ereport(ERROR,
            (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
             errmsg("table %s is no heap", QualifiedName(RelationGetRelid(rel))),
             errdetail("What a feed has written lately can be told from a heap's row versions only.")));
}

// A row version that must be new: *open, if its transaction has not ended.
static bool IsNew(HeapTupleHeader row, Snapshot since, bool* open) {
    if (HeapTupleHeaderXminFrozen(row) || HeapTupleHeaderXminInvalid(row)) return false;
    TransactionId xmin = HeapTupleHeaderGetRawXmin(row);
    if (TransactionIdIsCurrentTransactionId(xmin) || !XidInMVCCSnapshot(xmin, since)) return false;
    // In this order: it may end in between.
    *open = TransactionIdIsInProgress(xmin);
    return *open || TransactionIdDidCommit(xmin);
}

// Rows of one table: all of them, or those about a child.
struct Watched {
    Relation rel;
    AttrNumber child_att;  // or InvalidAttrNumber
    Oid child;
};

static bool IsAbout(const Watched* watched, HeapTuple row) {
    if (watched->child_att == InvalidAttrNumber) return true;
    bool null;
    Datum child = heap_getattr(row, watched->child_att, RelationGetDescr(watched->rel), &null);
    return !null && DatumGetObjectId(child) == watched->child;
}

// A copy of the first row version of a page that is new, or NULL.
static HeapTuple FirstNewOf(const Watched* watched, Buffer buffer, Snapshot since, bool* open) {
    HeapTuple found = NULL;
    LockBuffer(buffer, BUFFER_LOCK_SHARE);
    Page page = BufferGetPage(buffer);
    OffsetNumber last = PageGetMaxOffsetNumber(page);
    for (OffsetNumber offset = FirstOffsetNumber; offset <= last && found == NULL; offset++) {
        ItemId item = PageGetItemId(page, offset);
        if (!ItemIdIsNormal(item)) continue;
        HeapTupleData row;
        row.t_data = (HeapTupleHeader)PageGetItem(page, item);
        row.t_len = ItemIdGetLength(item);
        row.t_tableOid = RelationGetRelid(watched->rel);
        ItemPointerSet(&row.t_self, BufferGetBlockNumber(buffer), offset);
        if (IsNew(row.t_data, since, open) && IsAbout(watched, &row)) found = heap_copytuple(&row);
    }
    LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
    return found;
}

// Pages that are all visible to everybody hold nothing that a registered snapshot does not see.
static HeapTuple FirstNew(const Watched* watched, Snapshot since, bool* open) {
    BufferAccessStrategy strategy = GetAccessStrategy(BAS_BULKREAD);
    Buffer map = InvalidBuffer;
    HeapTuple found = NULL;
    BlockNumber blocks = RelationGetNumberOfBlocks(watched->rel);
    // From the end: there the new ones are most often.
    for (BlockNumber left = blocks; left > 0 && found == NULL; left--) {
        CHECK_FOR_INTERRUPTS();
        if (VM_ALL_VISIBLE(watched->rel, left - 1, &map)) continue;
        Buffer buffer = ReadBufferExtended(watched->rel, MAIN_FORKNUM, left - 1, RBM_NORMAL, strategy);
        found = FirstNewOf(watched, buffer, since, open);
        ReleaseBuffer(buffer);
    }
    if (BufferIsValid(map)) ReleaseBuffer(map);
    FreeAccessStrategy(strategy);
    return found;
}

// The _id as a text; not if it would have to be fetched from elsewhere.
static char* IdOf(Relation rel, HeapTuple row) {
    AttrNumber att = get_attnum(RelationGetRelid(rel), "_id");
    if (att == InvalidAttrNumber) return NULL;
    Form_pg_attribute form = TupleDescAttr(RelationGetDescr(rel), att - 1);
    bool null;
    Datum id = heap_getattr(row, att, RelationGetDescr(rel), &null);
    if (null || (form->attlen == -1 && VARATT_IS_EXTERNAL(DatumGetPointer(id)))) return NULL;
    Oid output;
    bool varlena;
    getTypeOutputInfo(form->atttypid, &output, &varlena);
    char* text = OidOutputFunctionCall(output, id);
    constexpr int kMost = 100;
    int len = (int)strlen(text);
    return len <= kMost ? text : psprintf("%.*s...", pg_mbcliplen(text, len, kMost), text);
}

static FeedTrace TraceIn(const Watched* watched, Snapshot since) {
    FeedTrace trace = {};
    HeapTuple row = FirstNew(watched, since, &trace.open);
    if (row == NULL) return trace;
    trace.found = true;
    trace.table = QualifiedName(RelationGetRelid(watched->rel));
    trace.id = IdOf(watched->rel, row);
    return trace;
}

// Documents that were refused or came late leave the child as it is.
static FeedTrace TraceBeside(Oid schema, const char* table, const FedChild* children, int count,
                             Snapshot since) {
    Relation rel = table_open(ExtensionTable(schema, table), AccessShareLock);
    AttrNumber att = get_attnum(RelationGetRelid(rel), "child");
    FeedTrace trace = {};
    for (int i = 0; i < count && !trace.found; i++) {
        Watched watched = {rel, att, RelationGetRelid(children[i].rel)};
        trace = TraceIn(&watched, since);
    }
    table_close(rel, AccessShareLock);
    return trace;
}

FeedTrace FindTrace(Oid schema, const FedChild* children, int count, Snapshot since) {
    FeedTrace trace = {};
    for (int i = 0; i < count && !trace.found; i++) {
        Watched watched = {children[i].rel, InvalidAttrNumber, InvalidOid};
        trace = TraceIn(&watched, since);
    }
    if (!trace.found) trace = TraceBeside(schema, "vm_quarantine", children, count, since);
    if (!trace.found) trace = TraceBeside(schema, "vm_anomaly", children, count, since);
    return trace;
}

static bool DocumentIsThere(Oid schema, const FedChild* children, int count, const char* id) {
    SqlArg args[] = {TextArg(id), {REGCLASSOID, (Datum)0, false}};
    for (int i = 0; i < count; i++) {
        SafePath path = EnterSafePath();
        bool found =
            RunSql(psprintf("SELECT true FROM ONLY %s WHERE _id::text = $1 AND _doc IS NOT NULL LIMIT 1",
                            children[i].name),
                   args, 1, 1)
                .found;
        LeaveSafePath(path);
        if (found) return true;
        // It has come if it was refused; that it was is for the checks to say.
        args[1].value = ObjectIdGetDatum(RelationGetRelid(children[i].rel));
        found =
            RunAsOwner(schema,
                       psprintf("SELECT true FROM %s WHERE child = $2 AND _id = $1 AND settled_at IS NULL "
                                "LIMIT 1",
                                ExtensionName(schema, "vm_quarantine")),
                       args, 2, 1)
                .found;
        if (found) return true;
    }
    return false;
}

// A wait for the feed.
struct Drain {
    Oid schema;
    const FedChild* children;
    int count;
    const DrainSettings* settings;
    MemoryContext context;  // of each look
    TimestampTz told;       // when it was last said that it waits
    FeedTrace last;         // the last trace, its _id in the caller's context
    TimestampTz last_at;
    int64 looking;  // how long the last look took
};

static char* LastSeen(const Drain* drain) {
    if (!drain->last.found) return psprintf("Nothing has come since it began to wait.");
    double ago = (GetCurrentTimestamp() - drain->last_at) / 1e6;
    return psprintf("%s in %s%s, seen %.1f s ago.",
                    drain->last.id ? psprintf("The last was _id %s", drain->last.id) : "The last was a row",
                    drain->last.table, drain->last.open ? ", of a transaction that had not ended" : "", ago);
}

static bool ShouldTell(const Drain* drain) {
    return drain->told == 0 || GetCurrentTimestamp() - drain->told >= kTellEvery;
}

static void Tell(Drain* drain, const char* what) {
    if (!ShouldTell(drain)) return;
    drain->told = GetCurrentTimestamp();
    ereport(NOTICE, (errmsg("waiting for %s", what), errdetail("%s", LastSeen(drain))));
}

[[noreturn]] static void GiveUp(const Drain* drain, const char* what, const char* hint) {
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("not switched: waited in vain for %s", what), errdetail("%s", LastSeen(drain)),
                    errhint("%s", hint)));
}

static FeedTrace Look(Drain* drain, Snapshot since) {
    TimestampTz began = GetCurrentTimestamp();
    MemoryContextReset(drain->context);
    MemoryContext caller = MemoryContextSwitchTo(drain->context);
    FeedTrace trace = FindTrace(drain->schema, drain->children, drain->count, since);
    MemoryContextSwitchTo(caller);
    drain->looking = GetCurrentTimestamp() - began;
    if (!trace.found) return trace;
    if (drain->last.id != NULL) pfree(drain->last.id);
    if (drain->last.table != NULL) pfree(drain->last.table);
    drain->last = trace;
    drain->last.id = trace.id ? pstrdup(trace.id) : NULL;
    drain->last.table = pstrdup(trace.table);
    drain->last_at = GetCurrentTimestamp();
    return trace;
}

// Often enough to notice soon, and a tenth of the time at most.
static int64 NextLook(const Drain* drain) {
    int64 often = Min(Max(drain->settings->quiet / 5, kSecond / 20), kSecond);
    return Max(often, 9 * drain->looking);
}

static void WaitForSilence(Drain* drain) {
    if (drain->settings->quiet == 0) return;
    char* what = psprintf("the feed to be quiet for %g s", drain->settings->quiet / 1e6);
    Snapshot since = RegisterSnapshot(GetLatestSnapshot());
    TimestampTz quiet_from = GetCurrentTimestamp();
    for (;;) {
        TimestampTz now = GetCurrentTimestamp();
        int64 left = quiet_from + drain->settings->quiet - now;
        // A silence that cannot be long enough any more is not waited for; the first one always is.
        if (drain->last.found && now + Max(left, 0) > drain->settings->deadline)
            GiveUp(drain, what,
                   "Let no more be written to the source for a moment, or allow more with max_wait, or less "
                   "silence with quiet_seconds.");
        SleepFor(Min(Max(left, 0), NextLook(drain)));
        Snapshot next = RegisterSnapshot(GetLatestSnapshot());
        TimestampTz looked = GetCurrentTimestamp();
        if (Look(drain, since).found) {
            UnregisterSnapshot(since);
            since = next;
            quiet_from = looked;
            Tell(drain, what);
            continue;
        }
        UnregisterSnapshot(next);
        if (looked - quiet_from >= drain->settings->quiet) break;
    }
    UnregisterSnapshot(since);
}

static void WaitForDocument(Drain* drain) {
    const char* id = drain->settings->last_document;
    if (id == NULL) return;
    char* what = psprintf("the document with _id %s", id);
    Snapshot since = RegisterSnapshot(GetLatestSnapshot());
    int64 pause = kSecond / 20;
    while (!DocumentIsThere(drain->schema, drain->children, drain->count, id)) {
        bool over = GetCurrentTimestamp() + pause > drain->settings->deadline;
        if (over || ShouldTell(drain)) (void)Look(drain, since);
        if (over)
            GiveUp(drain, what,
                   "A row that has moved to its parent has no _id any more: give a document that is still to "
                   "move, written to the source after all others.");
        Tell(drain, what);
        SleepFor(pause);
        pause = Min(pause * 2, kSecond);
    }
    UnregisterSnapshot(since);
}

void WaitForQuiet(Oid schema, const FedChild* children, int count, const DrainSettings* settings) {
    Drain drain = {
        schema,
        children,
        count,
        settings,
        AllocSetContextCreate(CurrentMemoryContext, "voucher_migrate drain", ALLOCSET_DEFAULT_SIZES),
        0,
        {},
        0,
        0};
    WaitForDocument(&drain);
    WaitForSilence(&drain);
    MemoryContextDelete(drain.context);
}
