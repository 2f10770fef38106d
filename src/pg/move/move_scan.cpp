#include "pg/move/move_scan.h"

#include "pg/move/move_lock.h"
#include "pg/server/tables.h"

extern "C" {
#include <storage/bufmgr.h>
}

static constexpr BlockNumber kMostBlocks = 8192;  // looked at by one statement

static bool Before(MovePlace a, MovePlace b) {
    return a.block < b.block || (a.block == b.block && a.offset < b.offset);
}

static ItemPointerData TidOf(MovePlace place) {
    ItemPointerData tid;
    ItemPointerSet(&tid, place.block, place.offset);
    return tid;
}

static int CompareTids(const void* a, const void* b) {
    return ItemPointerCompare((ItemPointer)a, (ItemPointer)b);
}

const char* FilterOf(const MoveTarget* target) {
    return target->options.filter ? target->options.filter : "true";
}

static Oid StorageOf(const MoveTarget* target) {
    return target->child->rd_rel->relfilenode;
}

MoveScan BeginScan(const MoveTarget* target, bool share) {
    MoveScan scan = {};
    scan.share = share;
    scan.end = RelationGetNumberOfBlocks(target->child);
    SqlArg args[] = {OidArg(OIDOID, target->child_oid), TextArg(FilterOf(target)),
                     OidArg(OIDOID, StorageOf(target))};
    SqlResult saved =
        RunAsOwner(target->schema,
                   psprintf("SELECT block, \"offset\" FROM %s WHERE child = $1 AND md5(filter) = md5($2) AND "
                            "filter = $2 AND storage = $3",
                            ExtensionName(target->schema, "vm_move_place")),
                   args, 3, 2);
    if (saved.found && DatumGetInt64(saved.value[0]) <= (int64)scan.end) {
        scan.at.block = (BlockNumber)DatumGetInt64(saved.value[0]);
        scan.at.offset = (OffsetNumber)DatumGetInt32(saved.value[1]);
    }
    scan.start = scan.at;
    double tuples = target->child->rd_rel->reltuples, pages = target->child->rd_rel->relpages;
    scan.rows_per_block = tuples > 0 && pages > 0 ? tuples / pages : 8;
    return scan;
}

void BeginRoundOfRest(MoveScan* scan) {
    scan->at = scan->rest_from;
    scan->start = scan->rest_to;
    scan->wrapped = true;
    scan->done = scan->skipped = scan->rest = scan->share = false;
}

void BeginWholeRound(MoveScan* scan) {
    scan->start = scan->at = MovePlace{0, 0};
    scan->wrapped = scan->done = scan->skipped = scan->rest = scan->share = false;
    scan->end = 0;
}

static void NoteRest(MoveScan* scan, MovePlace from, MovePlace to) {
    if (!scan->rest || Before(from, scan->rest_from)) scan->rest_from = from;
    if (!scan->rest || Before(scan->rest_to, to)) scan->rest_to = to;
    scan->rest = true;
}

void NoteBusy(MoveScan* scan, MovePlace place) {
    NoteRest(scan, place, MovePlace{place.block + 1, 0});
}

void NotePassed(MoveScan* scan, const MoveScan* before) {
    if (before->wrapped == scan->wrapped && Before(before->at, scan->at))
        NoteRest(scan, before->at, scan->at);
    else
        NoteRest(scan, MovePlace{0, 0}, MovePlace{scan->end, 0});
}

void ReturnTo(MoveScan* scan, const MoveScan* before) {
    bool locked = scan->locked;
    BlockNumber chunk = scan->chunk;
    *scan = *before;
    scan->locked = locked;
    scan->chunk = chunk;
}

// Where this leg of the round ends.
static MovePlace LegEnd(const MoveScan* scan) {
    return scan->wrapped ? scan->start : MovePlace{scan->end, 0};
}

static void LeaveChunk(const MoveTarget* target, MoveScan* scan) {
    if (scan->locked) UnlockMove(MoveLockOn::Chunk, target->child_oid, scan->chunk);
    scan->locked = false;
}

// Goes on to the next leg where one is complete; false if the round is.
static bool MoreAhead(const MoveTarget* target, MoveScan* scan) {
    while (!Before(scan->at, LegEnd(scan))) {
        if (scan->wrapped) {
            scan->done = true;
            return false;
        }
        // The child may have grown.
        BlockNumber blocks = RelationGetNumberOfBlocks(target->child);
        if (blocks > scan->end) {
            scan->end = blocks;
        } else {
            scan->wrapped = true;
            scan->at = MovePlace{0, 0};
        }
    }
    return true;
}

// The end of the chunk that `at` is in, once it is ours; *skipped instead if another mover has it.
static MovePlace EnterChunk(const MoveTarget* target, MoveScan* scan, bool* skipped) {
    BlockNumber chunk = scan->at.block / kChunkBlocks;
    MovePlace end = {(chunk + 1) * kChunkBlocks, 0};
    *skipped = false;
    if (scan->locked && scan->chunk != chunk) LeaveChunk(target, scan);
    if (!scan->locked) {
        *skipped = !TryLockMove(MoveLockOn::Chunk, target->child_oid, chunk, true);
        scan->locked = !*skipped;
        scan->chunk = chunk;
    }
    return end;
}

// Errors of the filter speak of the filter, not of the statement it stands in.
static void OnFilterError(void* arg) {
    internalerrquery(NULL);
    internalerrposition(0);
    errcontext("filter of the move: %s", (const char*)arg);
}

SqlResult RunWithFilter(const MoveTarget* target, const char* sql, const SqlArg* args, int nargs) {
    ErrorContextCallback callback = {error_context_stack, OnFilterError, (void*)FilterOf(target)};
    if (target->options.filter != NULL) error_context_stack = &callback;
    SqlResult result = RunSql(sql, args, nargs, 1);
    if (target->options.filter != NULL) error_context_stack = callback.previous;
    return result;
}

static ItemPointerData* SortedTids(Datum array, int* count) {
    Datum* datums;
    deconstruct_array(DatumGetArrayTypeP(array), TIDOID, sizeof(ItemPointerData), false, TYPALIGN_SHORT,
                      &datums, NULL, count);
    ItemPointerData* tids = (ItemPointerData*)palloc(sizeof(ItemPointerData) * *count);
    for (int i = 0; i < *count; i++) tids[i] = *(ItemPointer)DatumGetPointer(datums[i]);
    qsort(tids, *count, sizeof(ItemPointerData), CompareTids);
    return tids;
}

// The rows between two places, sorted.
static ItemPointerData* RowsBetween(const MoveTarget* target, MovePlace from, MovePlace to, int* count) {
    ItemPointerData first = TidOf(from), last = TidOf(to);
    SqlArg args[] = {{TIDOID, PointerGetDatum(&first), false}, {TIDOID, PointerGetDatum(&last), false}};
    SqlResult chosen = RunWithFilter(
        target,
        psprintf(
            "SELECT pg_catalog.array_agg(vm_a.vm_tid) FROM (SELECT ctid AS vm_tid, _doc AS vm_doc FROM ONLY "
            "%s WHERE %s\n) vm_a WHERE vm_a.vm_tid OPERATOR(pg_catalog.>=) $1 AND vm_a.vm_tid "
            "OPERATOR(pg_catalog.<) $2 AND vm_a.vm_doc IS NOT NULL",
            target->child_name, FilterOf(target)),
        args, 2);
    *count = 0;
    if (chosen.null[0]) return NULL;
    return SortedTids(chosen.value[0], count);
}

ItemPointerData* WithSameKeys(const MoveTarget* target, ItemPointerData* rows, int* count) {
    Datum* tids = (Datum*)palloc(sizeof(Datum) * *count);
    for (int i = 0; i < *count; i++) tids[i] = PointerGetDatum(&rows[i]);
    SqlArg args[] = {{TIDARRAYOID,
                      PointerGetDatum(construct_array(tids, *count, TIDOID, sizeof(ItemPointerData), false,
                                                      TYPALIGN_SHORT)),
                      false}};
    SqlResult all = RunWithFilter(target,
                                  psprintf("SELECT pg_catalog.array_agg(vm_a.vm_tid) FROM (SELECT ctid AS "
                                           "vm_tid, _doc AS vm_doc, %s FROM ONLY "
                                           "%s WHERE %s\n) vm_a WHERE vm_a.vm_doc IS NOT NULL AND ROW(%s) IN "
                                           "(SELECT %s FROM ONLY %s vm_b WHERE "
                                           "vm_b.ctid OPERATOR(pg_catalog.=) ANY ($1))",
                                           target->key, target->child_name, FilterOf(target), target->key,
                                           target->key, target->child_name),
                                  args, 1);
    return all.null[0] ? rows : SortedTids(all.value[0], count);
}

bool NextStretch(const MoveTarget* target, MoveScan* scan, MovePlace* to) {
    while (MoreAhead(target, scan)) {
        CHECK_FOR_INTERRUPTS();
        *to = LegEnd(scan);
        if (!scan->share) return true;
        bool skipped;
        MovePlace chunk = EnterChunk(target, scan, &skipped);
        if (Before(chunk, *to)) *to = chunk;
        if (!skipped) return true;
        scan->skipped = true;
        NoteRest(scan, scan->at, *to);
        scan->at = *to;
    }
    return false;
}

bool StretchIsBatch(const MoveScan* scan, int count) {
    return scan->share && count > 0 && scan->at.block % kChunkBlocks == 0;
}

ItemPointerData* NextRows(const MoveTarget* target, MoveScan* scan, int want, int* count, bool* more) {
    ItemPointerData* rows = (ItemPointerData*)palloc(sizeof(ItemPointerData) * want);
    *count = 0;
    *more = false;
    BlockNumber empty = 1;  // blocks to try after a stretch without rows
    MovePlace to;
    while (NextStretch(target, scan, &to)) {
        double blocks = (want - *count + 1) / Max(scan->rows_per_block, 0.001) + 1;
        BlockNumber span = (BlockNumber)Min(Max(blocks, empty), kMostBlocks);
        MovePlace near = {scan->at.block + span, 0};
        if (Before(near, to)) to = near;
        int found;
        ItemPointerData* tids = RowsBetween(target, scan->at, to, &found);
        BlockNumber seen = to.block - scan->at.block + 1;
        if (found > 0) {
            scan->rows_per_block = (double)found / seen;
            empty = 1;
        } else {
            empty = Min(seen * 2, kMostBlocks);
        }
        int taken = Min(found, want - *count);
        if (taken > 0) memcpy(rows + *count, tids, sizeof(ItemPointerData) * taken);
        *count += taken;
        if (found > taken) {
            scan->at = PlaceOf(&tids[taken]);
            *more = true;
            break;
        }
        scan->at = to;
        if (StretchIsBatch(scan, *count)) break;
    }
    return rows;
}

void SavePlace(const MoveTarget* target, const MoveScan* scan) {
    if (!TryLockMove(MoveLockOn::Place, target->child_oid, 0, false)) return;
    MovePlace at = scan->done ? MovePlace{scan->end, 0} : scan->at;
    SqlArg args[] = {OidArg(OIDOID, target->child_oid),
                     TextArg(FilterOf(target)),
                     OidArg(OIDOID, StorageOf(target)),
                     {INT8OID, Int64GetDatum(at.block), false},
                     {INT4OID, Int32GetDatum(at.offset), false}};
    AsOwner owner = EnterAsOwner(target->schema);
    RunSavedSql(
        psprintf("INSERT INTO %s (child, filter, storage, block, \"offset\") VALUES ($1, $2, $3, $4, $5) "
                 "ON CONFLICT "
                 "(child, md5(filter)) DO UPDATE SET filter = excluded.filter, storage = "
                 "excluded.storage, block = "
                 "excluded.block, \"offset\" = excluded.\"offset\"",
                 ExtensionName(target->schema, "vm_move_place")),
        args, 5, 0);
    LeaveAsOwner(owner);
}

void EndScan(const MoveTarget* target, MoveScan* scan) {
    LeaveChunk(target, scan);
}
