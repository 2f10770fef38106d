// The tables that use a mapping.
#pragma once

#include "pg/server/compat.h"

// Raises an error (22023) if the mapping, as it is now, does not fit a table that uses it: a registered
// parent, or a table with its transform trigger. Of children that are alike one is looked at.
void RequireFitting(Oid schema, const char* mapping);

// A NOTICE if tables with its trigger have rows already, which the rules that were in force before have made.
void NoteRowsMadeBefore(Oid schema, const char* mapping);
