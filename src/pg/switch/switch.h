// A project's switch: what vm_switch and vm_switch_back have in common.
#pragma once

#include "pg/switch/drain.h"
#include "pg/project/project.h"

// What is switched. Texts and arrays in the caller's context; children[i] is that of entities[i].
struct Switch {
    Oid schema;  // of the extension
    const char* tenant;
    const char* project;
    const char* reason;  // to go on in spite of what is found, or NULL
    int count;
    ProjectEntity** entities;
    FedChild* children;
    struct SwitchFound* found;
};

// What was found about an entity.
struct SwitchFound {
    int64 staged;           // rows of the child
    int64 warnings;         // checks of severity warning that found rows
    char* warned;           // which, or NULL
    StringInfoData order;   // what was done in the wrong order, a line each
    StringInfoData checks;  // what checks of severity error found, the same
};

// The project's entities, the project locked until the transaction ends. Error (55P03): another session takes
// it a step further, and has not ended in lock_timeout_ms; the detail says which.
List* TakeProject(Oid schema, const char* tenant, const char* project, const char* entity,
                  int lock_timeout_ms);

// The argument lock_timeout_ms; an error (22023) if it cannot be.
int LockTimeoutOf(int milliseconds);

// Refuses (55000) what was done in the wrong order; with a reason it goes into `found` only.
void CheckOrder(Switch* s);

// Runs the checks of all children and counts their rows, as the snapshot sees them. Findings of severity
// error are refused (55000); with a reason they go into `found` only.
void CheckFindings(Switch* s, Snapshot snapshot);
