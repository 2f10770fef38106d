#include "pg/move/move_batch.h"

#include "pg/server/caught.h"
#include "pg/move/move_insert.h"
#include "pg/server/tables.h"

extern "C" {
#include <access/xlog.h>
#include <catalog/catalog.h>
}

// Each such part of a batch is a subtransaction; of a whole child there must not be too many.
static constexpr int kRowsAtOnce = 5000;
static constexpr int kWholeRowsAtOnce = 25000;

// How rows are written. Native and Plain are for keys that are not in the parent; where one is, Upsert is
// tried.
enum class Way { Native, Plain, Upsert };

// Some rows of a batch on their way.
struct Attempt {
    const MoveTarget* target;
    const ClaimedRows* claimed;
    int lo, hi;
    MoveReport* report;
    Way way;
    WrittenRows written;
    bool fatal;  // the error is not one row's
};

static Way FirstWay(const MoveTarget* target) {
    bool conflicts = target->conflicts_expected > 0;
    if (target->native_insert && !(conflicts && RelationIsLogicallyLogged(target->parent)))
        return Way::Native;
    return conflicts ? Way::Upsert : Way::Plain;
}

static void Write(void* arg) {
    Attempt* attempt = (Attempt*)arg;
    const MoveTarget* target = attempt->target;
    int count = attempt->hi - attempt->lo;
    int* which;
    attempt->written = WrittenRows{};
    int64 inserted = 0;
    if (attempt->way == Way::Native) {
        which = InsertNatively(target, attempt->claimed, attempt->lo, attempt->hi, &count);
        inserted = attempt->hi - attempt->lo - count;
        // Logical decoding would see rows that came and went; of a subtransaction that is undone it sees
        // nothing.
        if (count > 0 && RelationIsLogicallyLogged(target->parent))
            ereport(ERROR, (errcode(ERRCODE_UNIQUE_VIOLATION), errmsg("keys stand in the parent")));
    } else {
        which = (int*)palloc(sizeof(int) * count);
        for (int i = 0; i < count; i++) which[i] = attempt->lo + i;
    }
    if (count > 0)
        attempt->written =
            InsertBySql(target, attempt->claimed, which, count, attempt->way == Way::Plain, &attempt->fatal);
    attempt->written.inserted += inserted;
    // Documents may be large: not all of them in memory at once.
    constexpr int kRecordedAtOnce = 200;
    for (int i = 0; i < attempt->written.nkept; i += kRecordedAtOnce)
        RecordKept(target, attempt->claimed, attempt->written.kept + i,
                   Min(kRecordedAtOnce, attempt->written.nkept - i), attempt->report);
}

// Whether an error is about a row, so that the others can go on without it: any, but those that are about the
// server, the transaction, the statement or the caller's rights. Triggers may raise what they like.
static bool IsRowsFault(const Attempt* attempt, int sqlerrcode) {
    if (attempt->fatal) return false;
    // A policy's refusal has the same code as a missing right.
    if (sqlerrcode == ERRCODE_INSUFFICIENT_PRIVILEGE) return attempt->target->row_security;
    switch (ERRCODE_TO_CATEGORY(sqlerrcode)) {
        case ERRCODE_CONNECTION_EXCEPTION:
        case ERRCODE_FEATURE_NOT_SUPPORTED:
        case ERRCODE_INVALID_TRANSACTION_STATE:
        case ERRCODE_INVALID_TRANSACTION_TERMINATION:
        case ERRCODE_SAVEPOINT_EXCEPTION:
        case ERRCODE_INVALID_CATALOG_NAME:
        case ERRCODE_INVALID_SCHEMA_NAME:
        case ERRCODE_TRANSACTION_ROLLBACK:
        case ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION:
        case ERRCODE_INSUFFICIENT_RESOURCES:
        case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
        case ERRCODE_OPERATOR_INTERVENTION:
        case ERRCODE_SYSTEM_ERROR:
        case ERRCODE_CONFIG_FILE_ERROR:
        case ERRCODE_INTERNAL_ERROR: return false;
        default: return true;
    }
}

// Writes rows lo … hi - 1. Where a row is refused they are halved until it stands alone.
static void WriteRange(const MoveTarget* target, const ClaimedRows* claimed, int lo, int hi,
                       MoveCounts* counts, MoveReport* report) {
    CHECK_FOR_INTERRUPTS();
    constexpr int kExpectConflicts = 16;
    Attempt attempt = {target, claimed, lo, hi, report, FirstWay(target), {}, false};
    ErrorData* error = RunCaught(Write, &attempt);
    if (error != NULL && attempt.way != Way::Upsert && !attempt.fatal &&
        error->sqlerrcode == ERRCODE_UNIQUE_VIOLATION) {
        target->conflicts_expected = kExpectConflicts;
        attempt.way = Way::Upsert;
        error = RunCaught(Write, &attempt);
    }
    // A row that was in its place may have been deleted meanwhile.
    if (error != NULL && error->sqlerrcode == ERRCODE_NO_DATA && hi - lo == 1)
        error = RunCaught(Write, &attempt);
    if (error == NULL) {
        if (target->conflicts_expected > 0) target->conflicts_expected--;
        counts->inserted += attempt.written.inserted;
        counts->updated += attempt.written.updated;
        counts->kept += attempt.written.nkept;
        return;
    }
    if (!IsRowsFault(&attempt, error->sqlerrcode)) ReThrowError(error);
    if (hi - lo == 1) {
        RecordRefused(target, claimed, lo, error, report);
        counts->quarantined++;
        return;
    }
    int middle = lo + (hi - lo) / 2;
    WriteRange(target, claimed, lo, middle, counts, report);
    WriteRange(target, claimed, middle, hi, counts, report);
}

// Rows of a batch that are claimed and written a few at a time, in one subtransaction.
struct Slices {
    const MoveTarget* target;
    MoveScan* scan;
    int want;
    MoveReport* report;
    MoveCounts counts;
    bool more;
    bool over;  // nothing further to take in this batch
    Attempt attempt;
};

// Few enough to be in the processor's cache still when they are written, and a row is not held while many
// others are being claimed.
static constexpr int kSlice = 250;

// Has the WAL writer begin to write what a slice has logged: whoever commits meanwhile has to wait for all
// WAL before his own, and would else find a batch's worth of it unwritten.
static void NudgeWalWriter(void) {
    XLogSetAsyncXactLSN(XactLastRecEnd);
}

static void MoveSlices(void* arg) {
    Slices* slices = (Slices*)arg;
    MoveCounts* counts = &slices->counts;
    for (int left = slices->want; left > 0 && !slices->over;) {
        ClaimedRows* claimed = ClaimNextRows(slices->target, slices->scan, Min(left, kSlice), &slices->more);
        counts->busy += claimed->busy;
        left -= claimed->count;
        slices->attempt =
            Attempt{slices->target, claimed, 0, claimed->count, slices->report, Way::Native, {}, false};
        if (claimed->count > 0) {
            Write(&slices->attempt);
            NudgeWalWriter();
        }
        counts->inserted += slices->attempt.written.inserted;
        counts->updated += slices->attempt.written.updated;
        counts->kept += slices->attempt.written.nkept;
        slices->over = !slices->more && (slices->scan->share || claimed->count + claimed->busy == 0);
        MemoryContextReset(slices->target->rows);
    }
}

// The way for rows that nothing is wrong with. False, and nothing done, where a row is refused.
static bool TrySlices(const MoveTarget* target, MoveScan* scan, int want, MoveCounts* counts,
                      MoveReport* report, bool* more, bool* over) {
    if (!TakenAsRead(target) || FirstWay(target) != Way::Native) return false;
    MoveScan before = *scan;
    MoveReport reported = *report;
    Slices slices = {target, scan, want, report, {}, false, false, {}};
    ErrorData* error = RunCaught(MoveSlices, &slices);
    if (error == NULL) {
        counts->inserted += slices.counts.inserted;
        counts->updated += slices.counts.updated;
        counts->kept += slices.counts.kept;
        counts->busy += slices.counts.busy;
        *more = slices.more;
        *over = slices.over;
        return true;
    }
    if (!IsRowsFault(&slices.attempt, error->sqlerrcode)) ReThrowError(error);
    ReturnTo(scan, &before);
    *report = reported;
    return false;
}

// The way for all others: they are claimed first, and stay claimed whatever is wrong with one of them.
static void MoveClaimed(const MoveTarget* target, MoveScan* scan, int want, MoveCounts* counts,
                        MoveReport* report, bool* more, bool* over) {
    ClaimedRows* claimed = ClaimNextRows(target, scan, want, more);
    counts->busy += claimed->busy;
    if (claimed->count > 0) WriteRange(target, claimed, 0, claimed->count, counts, report);
    *over = !*more && (scan->share || claimed->count + claimed->busy == 0);
    MemoryContextReset(target->rows);
}

// The parent's deferred constraints are checked while a row can still be blamed. What the transaction did
// before is checked here, where the error is its own.
static void SetDeferred(const MoveTarget* target, const char* mode) {
    if (target->deferred != NULL)
        RunSql(psprintf("SET CONSTRAINTS %s %s", target->deferred, mode), NULL, 0, 0);
}

void MoveRows(const MoveTarget* target, MoveScan* scan, int most, MoveCounts* counts, MoveReport* report,
              bool* more) {
    *more = false;
    SetDeferred(target, "IMMEDIATE");
    MemoryContext caller = MemoryContextSwitchTo(target->rows);
    int at_once = target->truncates ? kWholeRowsAtOnce : kRowsAtOnce;
    bool over = false;
    for (int left = most; left > 0 && !over;) {
        int64 before = MovedOf(counts) + counts->quarantined;
        int want = Min(left, at_once);
        if (!TrySlices(target, scan, want, counts, report, more, &over))
            MoveClaimed(target, scan, want, counts, report, more, &over);
        left -= (int)(MovedOf(counts) + counts->quarantined - before);
    }
    MemoryContextSwitchTo(caller);
    SetDeferred(target, "DEFERRED");
}
