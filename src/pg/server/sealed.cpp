#include "pg/server/sealed.h"

extern "C" {
#include <utils/rls.h>
}

Sealed Seal(void) {
    Sealed sealed;
    GetUserIdAndSecContext(&sealed.user, &sealed.context);
    SetUserIdAndSecContext(sealed.user, sealed.context | SECURITY_RESTRICTED_OPERATION);
    sealed.read_only = XactReadOnly;
    XactReadOnly = true;
    sealed.path = EnterSafePath();
    return sealed;
}

void Unseal(Sealed sealed) {
    LeaveSafePath(sealed.path);
    XactReadOnly = sealed.read_only;
    SetUserIdAndSecContext(sealed.user, sealed.context);
}

static bool ReadsAll(Oid role, Oid table) {
    return pg_class_aclcheck(table, role, ACL_SELECT) == ACLCHECK_OK &&
           check_enable_rls(table, role, true) != RLS_ENABLED;
}

Oid RoleOfConditions(Oid child, Oid parent) {
    Oid caller = GetUserId();
    Oid of_parent = OwnerOf(parent), of_child = OwnerOf(child);
    bool as_parents = has_privs_of_role(caller, of_parent);
    if (as_parents && ReadsAll(of_parent, child)) return of_parent;
    // A superuser makes children of other owners' tables: they may store conditions, but not for him to run.
    if (has_privs_of_role(caller, of_child) && (!superuser_arg(of_child) || superuser_arg(of_parent)))
        return of_child;
    // Who may not read the child, or not all of it, is asked all the same, and it is an error.
    return as_parents ? of_parent : caller;
}

Role EnterRole(Oid role) {
    Role saved;
    GetUserIdAndSecContext(&saved.user, &saved.context);
    saved.nest = NewGUCNestLevel();
    if (role == saved.user) return saved;
    if (has_bypassrls_privilege(saved.user))
        (void)set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                                false);
    SetUserIdAndSecContext(role, saved.context | SECURITY_LOCAL_USERID_CHANGE);
    return saved;
}

void LeaveRole(Role saved) {
    AtEOXact_GUC(false, saved.nest);
    SetUserIdAndSecContext(saved.user, saved.context);
}

bool HasRowAs(Oid role, const char* sql) {
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    SPIPlanPtr plan = SPI_prepare(sql, 0, NULL);
    if (plan == NULL) elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
    Role saved = EnterRole(role);
    int code = SPI_execute_plan(plan, NULL, NULL, false, 1);
    LeaveRole(saved);
    if (code != SPI_OK_SELECT) elog(ERROR, "executing SQL failed: %s", SPI_result_code_string(code));
    bool found = SPI_processed > 0;
    SPI_finish();
    return found;
}
