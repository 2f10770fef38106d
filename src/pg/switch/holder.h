// Who is in the way, for people: a sentence, or NULL if nobody is any more. Sessions are looked at as the
// extension's owner.
#pragma once

#include "pg/server/compat.h"

// Who has held longest what keeps a table from being locked in SHARE mode.
char* TableHolder(Oid schema, Oid table);

// Who holds the row of a project.
char* ProjectHolder(Oid schema, const char* tenant, const char* project);
