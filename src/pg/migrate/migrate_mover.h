// Background workers of CALL vm_migrate.
#pragma once

#include "pg/server/compat.h"

extern "C" {
#include <postmaster/bgworker.h>
}

// Starts a mover for a run that is on record and committed; NULL if the server has none to spare. It ends by
// itself when no project is left, or the session that holds the lock on the run has gone.
BackgroundWorkerHandle* StartMover(Oid schema, int64 run_id);
