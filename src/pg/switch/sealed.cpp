#include "pg/switch/sealed.h"

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
