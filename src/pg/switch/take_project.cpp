// Taking a project for a switch: its row, if nobody else has it.
#include "pg/child/child_lock.h"
#include "pg/server/caught.h"
#include "pg/switch/holder.h"
#include "pg/switch/switch.h"

struct Taking {
    Oid schema;
    const char* tenant;
    const char* project;
    const char* entity;
    int lock_timeout_ms;
    List* entities;
};

static void Take(void* arg) {
    Taking* taking = (Taking*)arg;
    int nest = NewGUCNestLevel();
    LimitLockWait(taking->lock_timeout_ms);
    taking->entities = ProjectEntities(taking->schema, taking->tenant, taking->project, taking->entity, true);
    AtEOXact_GUC(true, nest);
}

List* TakeProject(Oid schema, const char* tenant, const char* project, const char* entity,
                  int lock_timeout_ms) {
    Taking taking = {schema, tenant, project, entity, lock_timeout_ms, NIL};
    ErrorData* error = RunCaught(Take, &taking);
    if (error == NULL) return taking.entities;
    if (error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE) ReThrowError(error);
    char* holder = ProjectHolder(schema, tenant, project);
    ereport(ERROR,
            (errcode(ERRCODE_LOCK_NOT_AVAILABLE),
             errmsg("another session is at work on project %s of tenant %s", project, tenant),
             holder ? errdetail("%s Nothing was changed.", holder) : errdetail("Nothing was changed."),
             errhint("Wait until its transaction has ended, then look again how far the project is.")));
}
