// Who is at work on a project.
#pragma once

#include "pg/server/compat.h"

// Who holds the row of a project, as a sentence; NULL if nobody does any more.
char* ProjectHolder(Oid schema, const char* tenant, const char* project);
