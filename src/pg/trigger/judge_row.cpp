#include "pg/trigger/judge_row.h"

#include "pg/server/caught.h"
#include "pg/trigger/anomaly.h"

using wall::Reason;

static int64 Micros(const ColumnIo* io, int64 value) {
    if (io->kind != wall::Kind::Date) return value;
    return value == PG_INT32_MAX   ? PG_INT64_MAX
           : value == PG_INT32_MIN ? PG_INT64_MIN
                                   : value * USECS_PER_DAY;
}

// The greatest of a row's watermark columns; false if it has none.
static bool WatermarkOf(const RowWork* work, HeapTuple row, int64* watermark) {
    bool any = false;
    for (uint32 w = 0; w < work->compiled->info.watermarks; w++) {
        const ColumnIo* io = work->compiled->io[work->compiled->info.watermark[w]];
        bool null;
        Datum datum = heap_getattr(row, io->attno, work->desc, &null);
        if (null) continue;
        int64 t = Micros(io, io->kind == wall::Kind::Date ? DatumGetInt32(datum) : DatumGetInt64(datum));
        if (!any || t > *watermark) *watermark = t;
        any = true;
    }
    return any;
}

static void WarnConcatenated(RowWork* work, const wall::Row* row) {
    NameDocument(work);
    const ColumnIo* io = work->compiled->io[row->concatenated];
    ereport(WARNING,
            (errcode(ERRCODE_WARNING),
             errmsg("column \"%s\" of document _id %s is no object", io->name,
                    work->about.id ? work->about.id : "(none)"),
             errdetail("The members that \"floor\" names were appended to it in an object of their own."),
             errhint("Mend the document at the source.")));
}

HeapTuple JudgeRow(RowWork* work, const wall::Row* row) {
    if (row->concatenated >= 0) WarnConcatenated(work, row);
    HeapTuple formed = FormRow(work, row);

    int64 incoming = 0, stored = 0;
    if (work->old == NULL || !WatermarkOf(work, work->old, &stored) ||
        !WatermarkOf(work, formed, &incoming) || incoming >= stored) {
        if (work->compiled->constraints != NULL)
            CheckConstraints(work->compiled->constraints, work->trigger->tg_relation, formed, work->old);
        return formed;
    }

    NameDocument(work);
    ereport(
        WARNING,
        (errcode(ERRCODE_WARNING),
         errmsg("%s ANOMALY DETECTED - ID: %s, Incoming time: %s, Stored time: %s",
                str_toupper(work->compiled->mapping, strlen(work->compiled->mapping), DEFAULT_COLLATION_OID),
                work->about.id ? work->about.id : "<NULL>",
                DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(incoming))),
                DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(stored))))));
    Anomaly anomaly = {};
    anomaly.child = work->trigger->tg_relation;
    anomaly.id = work->about.id;
    anomaly.kind = "late_document";
    anomaly.incoming_time = incoming;
    anomaly.stored_time = stored;
    anomaly.incoming = formed;
    anomaly.stored = work->old;
    anomaly.document = pnstrdup(work->text.data, work->text.len);
    RecordAnomaly(work->compiled, &anomaly);
    work->kept = true;
    return KeepRow(work);
}

// JudgeRow where the server's errors can be caught.
struct CaughtWork {
    RowWork* work;
    const wall::Row* row;  // NULL: the document has to be put to jsonb_in first
    wall::Problem* problem;
    HeapTuple formed;
};

static void JudgeCaught(void* arg) {
    CaughtWork* caught = (CaughtWork*)arg;
    RowWork* work = caught->work;
    wall::Row judged;
    if (caught->row == NULL) {
        if (ReadWithContext(work, &judged, caught->problem) != Reason::None) return;
        caught->row = &judged;
    }
    caught->formed = JudgeRow(work, caught->row);
}

// Whether an error says something of the document, not of the server, the transaction or the caller's rights.
// A type's own function may raise nearly anything: 42P01 for a regclass, 0A000 for a conversion.
static bool IsDocumentsFault(int sqlerrcode) {
    switch (ERRCODE_TO_CATEGORY(sqlerrcode)) {
        case ERRCODE_INSUFFICIENT_RESOURCES:
        case ERRCODE_OPERATOR_INTERVENTION:
        case ERRCODE_SYSTEM_ERROR:
        case ERRCODE_TRANSACTION_ROLLBACK:
        case ERRCODE_INVALID_TRANSACTION_STATE:
        case ERRCODE_INTERNAL_ERROR: return false;
        default: return sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE;
    }
}

HeapTuple JudgeInSubtransaction(RowWork* work, const wall::Row* row, wall::Problem* problem,
                                ProblemWords* words) {
    CaughtWork caught = {work, row, problem, NULL};
    ErrorData* error = RunCaught(JudgeCaught, &caught);
    if (error == NULL) return caught.formed;
    if (!IsDocumentsFault(error->sqlerrcode)) ReThrowError(error);
    words->sqlerrcode = error->sqlerrcode;
    words->message = ReadableMessage(error);
    if (work->value != NULL) {
        words->column = work->compiled->io[work->column]->name;
        words->field = (char*)FieldOf(work);
    }
    return NULL;
}
