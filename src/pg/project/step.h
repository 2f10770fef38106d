// Steps as words and as SQL: what vm_next prints, and what errors about the order give as a hint.
#pragma once

#include "pg/project/project.h"

// A project as functions are called with it.
struct ProjectKey {
    Oid schema;  // of the extension
    const char* tenant;
    const char* project;
};

// A function of the extension as the caller may write it: without the schema where that is in the
// search_path and no other function of this name is. Not to be called within a safe path.
char* CallName(Oid schema, const char* function);

// The statement that does a step, to be run as it stands. `entity` NULL: of all the project's, which moves
// cannot be. Not to be called within a safe path.
char* StatementOf(const ProjectKey* key, Step step, const ProjectEntity* entity);

// What vm_next says of these entities, if that comes no later than `step`; else NULL. `all_entities`: they
// are all of the project's. Not to be called within a safe path.
char* StatementBefore(const ProjectKey* key, Step step, List* entities, bool all_entities);

// What vm_next says of a child whose moves are paused begins with this.
constexpr char kMovesPaused[] = "moves of this child are paused";

// Refuses `step` (55000) unless `needed` is done for all of the entities; the hint is the statement to run
// first. `asked`: the entity the caller named, or NULL.
void RequireStep(const ProjectKey* key, Step step, List* entities, const char* asked, Step needed);

// Refuses `step` (55000) for entities that are finished.
void RequireUnfinished(const ProjectKey* key, Step step, List* entities);

// Refuses `step` (55000) for entities whose children are not there, or were dropped by hand. Waits for who is
// about to drop one.
void RequireChildren(const ProjectKey* key, Step step, List* entities, const char* asked);

// Refuses `step` (55000) while the feed of an entity has to begin anew.
void RequireFeedBegun(const ProjectKey* key, Step step, const ProjectEntity* entity);
