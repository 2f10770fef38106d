// A row that the parent refused, once more.
#pragma once

#include "pg/compat.h"

// Writes a row of vm_quarantine (staged_row, a jsonb) to the child's parent, unless the parent's own is
// newer. True if it was written. Errors of the parent pass through.
bool MoveRefusedRow(Oid schema, Oid child, Datum staged_row);
