// vm_create_child: a table for a feed to write to, made from its parent.
#include "pg/server/compat.h"
#include "pg/child/make_child.h"
#include "pg/server/tables.h"

extern "C" {
#include <tcop/utility.h>

PG_FUNCTION_INFO_V1(vm_create_child);

// vm_create_child(parent, mapping, tenant, project, child name DEFAULT NULL) → regclass
// Errors: the parent is no ordinary table (0A000), the mapping does not fit it (22023), the name is taken
// (42P07).
Datum vm_create_child(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 4);
    PreventCommandIfReadOnly("vm_create_child()");
    NewChild wanted = {ExtensionSchema(fcinfo),
                       PG_GETARG_OID(0),
                       text_to_cstring(PG_GETARG_TEXT_PP(1)),
                       text_to_cstring(PG_GETARG_TEXT_PP(2)),
                       text_to_cstring(PG_GETARG_TEXT_PP(3)),
                       NULL};
    Relation rel = relation_open(wanted.parent, AccessShareLock);
    wanted.name = PG_ARGISNULL(4) ? ChildName(RelationGetRelationName(rel), wanted.tenant, wanted.project)
                                  : NameStr(*PG_GETARG_NAME(4));
    relation_close(rel, NoLock);
    PG_RETURN_OID(MakeChild(&wanted));
}
}
