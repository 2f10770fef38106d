// Whether a document is taken.
#pragma once

#include "pg/trigger/form_row.h"

// Forms the row, unless what stands is newer: then that stays, the document is recorded as an anomaly, and
// work->kept is set. A row that breaks one of the child's constraints is an error in quarantine mode.
HeapTuple JudgeRow(RowWork* work, const wall::Row* row);

// The same in a subtransaction: what the server raises about the data becomes *words, and NULL comes back.
// With row NULL the document has to be put to jsonb_in first: NULL and *problem, or *words, if that refuses
// it.
HeapTuple JudgeInSubtransaction(RowWork* work, const wall::Row* row, wall::Problem* problem,
                                ProblemWords* words);
