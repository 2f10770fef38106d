#include "pg/compat.h"

extern "C" {
VM_MODULE_MAGIC;
}
