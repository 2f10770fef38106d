// The tables that use a mapping.
#pragma once

#include "pg/server/compat.h"

// Raises an error (22023) if the mapping, as it is now, does not fit a table that uses it: a registered
// parent, or a table with its transform trigger. Of children that are alike one is looked at.
void RequireFitting(Oid schema, const char* mapping);

// A NOTICE if tables with its trigger have rows already, which the rules that were in force before have made.
void NoteRowsMadeBefore(Oid schema, const char* mapping);

// SQL: that a trigger t, whose function is f, is a transform trigger of mapping $1; the extension's schema is
// $2.
#define VM_TRIGGER_OF_MAPPING                                                                           \
    "f.pronamespace = $2 AND CASE f.proname "                                                           \
    "WHEN 'vm_transform' THEN t.tgnargs > 0 AND substring(t.tgargs FROM 1 FOR position('\\x00'::bytea " \
    "IN t.tgargs) - 1) = convert_to($1, getdatabaseencoding()) "                                        \
    "WHEN 'transform_voucher' THEN $1 = 'voucher' WHEN 'transform_campaign' THEN $1 = 'campaign' END"
