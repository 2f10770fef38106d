#include "pg/project/project_facts.h"

#include "pg/server/caught.h"
#include "pg/server/sealed.h"

EntityFacts FactsOf(const ProjectKey* key, const ProjectEntity* entity) {
    SqlArg args[] = {TextArg(key->tenant), TextArg(key->project), TextArg(entity->parent.entity)};
    AsOwner owner = EnterAsOwner(key->schema);
    SqlResult row = RunSavedSql(
        psprintf("SELECT coalesce(anomalies, 0), coalesce(quarantine, 0), failed_checks, feed_last_row "
                 "FROM %s WHERE tenant = $1 AND project = $2 AND entity = $3",
                 ExtensionName(key->schema, "vm_status")),
        args, 3, 4);
    LeaveAsOwner(owner);
    EntityFacts facts = {};
    if (!row.found) return facts;
    facts.anomalies = DatumGetInt64(row.value[0]);
    facts.quarantined = DatumGetInt64(row.value[1]);
    if (!row.null[2]) facts.failed_checks = TextDatumGetCString(row.value[2]);
    if (!row.null[3]) facts.feed_at = DatumGetTimestampTz(row.value[3]);
    return facts;
}

static char* Counted(int64 n, const char* one, const char* many) {
    return psprintf(INT64_FORMAT " %s", n, n == 1 ? one : many);
}

char* OpenCasesOf(const EntityFacts* facts) {
    char* anomalies = Counted(facts->anomalies, "anomaly", "anomalies");
    char* quarantined = Counted(facts->quarantined, "quarantined document", "quarantined documents");
    if (facts->anomalies == 0) return facts->quarantined == 0 ? NULL : quarantined;
    return facts->quarantined == 0 ? anomalies : psprintf("%s and %s", anomalies, quarantined);
}

struct Question {
    const ProjectEntity* entity;
    const char* condition;
    bool yes;
};

static void Ask(void* arg) {
    Question* question = (Question*)arg;
    const ProjectEntity* entity = question->entity;
    char* sql = psprintf("SELECT true FROM ONLY %s WHERE (%s\n) LIMIT 1", QualifiedName(entity->child),
                         question->condition);
    Sealed sealed = Seal();
    question->yes = HasRowAs(RoleOfConditions(entity->child, entity->parent.parent), sql);
    Unseal(sealed);
}

Known ChildHas(const ProjectEntity* entity, const char* condition) {
    Question question = {entity, condition, false};
    if (RunCaught(Ask, &question) != NULL) return Known::Unknown;
    return question.yes ? Known::Yes : Known::No;
}

struct Hold {
    Oid child;
    bool there;
};

// Who may not read it has no lock on it for longer than this.
static void HoldChild(void* arg) {
    Hold* hold = (Hold*)arg;
    Relation rel = try_relation_open(hold->child, AccessShareLock);
    hold->there = rel != NULL;
    if (rel == NULL) return;
    bool reads = pg_class_aclcheck(hold->child, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
    relation_close(rel, reads ? NoLock : AccessShareLock);
}

bool IsNamed(const ProjectEntity* entity) {
    return TableStands(entity->child);
}

bool HasChild(const ProjectEntity* entity) {
    if (!IsNamed(entity)) return false;
    Hold hold = {entity->child, false};
    // Whoever has locked it for longer than the caller waits may drop it, or not.
    return RunCaught(HoldChild, &hold) == NULL ? hold.there : IsNamed(entity);
}

Known FeedIsSeen(const ProjectKey* key, const ProjectEntity* entity) {
    if (FeedWasLost(key->schema, key->tenant, key->project, entity)) return Known::No;
    EntityFacts facts = FactsOf(key, entity);
    if (facts.feed_at != 0 || facts.quarantined > 0) return Known::Yes;
    return ChildHas(entity, "true");
}
