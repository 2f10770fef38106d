// Projects: the tables that say what takes part in a migration and how far it is. All of it is read and
// written as the extension's owner; the arguments are the caller's.
#pragma once

#include "pg/server/compat.h"

// The steps of a project, in order. Each is a column <name>_at of vm_project_entity and a word of vm_history.
enum class Step {
    SourceCheck,
    Prepare,
    FeedStart,
    Check,
    MoveClosed,
    Switch,
    AnomalyCheck,
    Move,
    FeedStop,
    Finish
};
const char* WordOf(Step step);

// An entity as it was registered. Texts in the current context.
struct Parent {
    char* entity;
    Oid parent;
    char* mapping;
    char* closed;  // or NULL
    bool active_before_switch;
};

// An entity of a project. Texts in the current context; `child` is InvalidOid before prepare and after
// finish.
struct ProjectEntity {
    Parent parent;
    Oid child;
    bool pooled;
    bool done[(int)Step::Finish + 1];
};

// The entities of a project in the order they move in, whether a step was recorded or not: a List of
// ProjectEntity*. `entity` NULL: all. Errors (22023): no such project, no such entity, no parent registered.
// With `lock` the rows of vm_project are locked: one session at a time takes a project a step further.
List* ProjectEntities(Oid schema, const char* tenant, const char* project, const char* entity, bool lock);

// Raises 22023: there is no such entity; the detail has those there are.
[[noreturn]] void RaiseNoEntity(Oid schema, const char* entity);

// Writes a step to vm_history and, if it passed, to vm_project_entity, of one entity or (NULL) of all that
// are registered. A check that did not pass is not done any more, whatever an earlier one had found; other
// steps that did not pass leave the record of the last that did. found: for people, or NULL. override_reason:
// why it was done against what was found, or NULL.
void RecordStep(Oid schema, const char* tenant, const char* project, const char* entity, Step step,
                bool passed, const char* found, const char* override_reason);

// A step is not done any more. The reason is for vm_history.
void TakeBackStep(Oid schema, const char* tenant, const char* project, const char* entity, Step step,
                  const char* reason);

// The same for the switch, and with it for what comes after it; an entity that was finished begins anew with
// prepare. If the feed cannot go on where it is, the start of the feed is taken back too, and why is
// returned; else NULL. Movers of rows that move after the switch stop. moving: rows may be moving now, else
// none does until the transaction's end (see StopMoves).
const char* TakeBackSwitch(Oid schema, const char* tenant, const char* project, const ProjectEntity* entity,
                           const char* reason, bool moving);

// Whether the start of the feed was taken back, and none is on record since: that a feed has written to the
// child, this one or another, says nothing then.
bool FeedWasLost(Oid schema, const char* tenant, const char* project, const ProjectEntity* entity);
