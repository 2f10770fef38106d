#include "pg/server/compat.h"

extern "C" {
VM_MODULE_MAGIC;
}
