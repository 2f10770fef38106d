// vm_switch: a project's applications go to PostgreSQL, in one transaction or not at all.
#include "pg/switch/switch.h"

#include "pg/child/child_lock.h"
#include "pg/server/caught.h"
#include "pg/switch/flag.h"
#include "pg/server/holders.h"
#include "pg/server/tables.h"
#include "pg/child/child_columns.h"

extern "C" {
#include <common/pg_prng.h>
#include <storage/proc.h>
#include <utils/rls.h>
#include <utils/snapmgr.h>

PG_FUNCTION_INFO_V1(vm_switch);
}

struct SwitchSettings {
    DrainSettings drain;
    int lock_timeout_ms;
};

[[noreturn]] static void RefuseArgument(const char* name, const char* what) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s must be %s", name, what)));
}

int LockTimeoutOf(int milliseconds) {
    if (milliseconds < 1 || milliseconds > 60000) RefuseArgument("lock_timeout_ms", "from 1 to 60000");
    return milliseconds;
}

static int64 Microseconds(const Interval* span) {
    constexpr int64 kDay = INT64CONST(86400000000), kMost = kDay * 365;
    int64 days = (int64)span->month * DAYS_PER_MONTH + span->day;
    if (days < 0 || days > 365 || span->time < -kMost || span->time > kMost) return -1;
    return days * kDay + span->time;
}

static SwitchSettings SettingsOf(FunctionCallInfo fcinfo) {
    constexpr int kQuiet = 4, kDocument = 5, kMaxWait = 6, kLockTimeout = 7;
    RequireArgument(fcinfo, kQuiet);
    RequireArgument(fcinfo, kMaxWait);
    RequireArgument(fcinfo, kLockTimeout);
    SwitchSettings settings = {};
    double quiet = DatumGetFloat8(DirectFunctionCall1(numeric_float8, PG_GETARG_DATUM(kQuiet)));
    if (!(quiet >= 0 && quiet <= 86400)) RefuseArgument("quiet_seconds", "from 0 to 86400");
    settings.drain.quiet = (int64)(quiet * 1e6);
    if (!PG_ARGISNULL(kDocument))
        settings.drain.last_document = text_to_cstring(PG_GETARG_TEXT_PP(kDocument));
    int64 max_wait = Microseconds(PG_GETARG_INTERVAL_P(kMaxWait));
    if (max_wait < 0) RefuseArgument("max_wait", "from 0 to a year");
    if (max_wait < settings.drain.quiet) RefuseArgument("max_wait", "as long as quiet_seconds at least");
    settings.drain.deadline = GetCurrentTimestamp() + max_wait;
    settings.lock_timeout_ms = LockTimeoutOf(PG_GETARG_INT32(kLockTimeout));
    return settings;
}

static char* ReasonOf(FunctionCallInfo fcinfo, int i) {
    if (PG_ARGISNULL(i)) return NULL;
    char* reason = text_to_cstring(PG_GETARG_TEXT_PP(i));
    if (IsBlank(reason)) RefuseArgument("override_reason", "a reason in words");
    return reason;
}

// What it takes to check and lock a child, before anything is waited for. Rows that a policy hides would not
// be checked.
static void CheckRights(Oid child) {
    Oid user = GetUserId();
    bool may = pg_class_aclcheck(child, user, ACL_SELECT) == ACLCHECK_OK &&
               pg_class_aclmask(child, user, kMayLockShare, ACLMASK_ANY) != 0;
    if (!may) aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, get_rel_name(child));
    if (check_enable_rls(child, InvalidOid, true) == RLS_ENABLED)
        ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                        errmsg("row-level security hides rows of %s from role %s", QualifiedName(child),
                               GetUserNameFromId(user, false)),
                        errhint("Let its owner switch, or a role that bypasses row-level security.")));
}

// The children, opened, with a lock that only keeps them from being changed or dropped.
static void AddEntity(Switch* s, ProjectEntity* entity) {
    Relation rel =
        OidIsValid(entity->child) ? try_relation_open(entity->child, AccessShareLock) : (Relation)NULL;
    if (rel == NULL || !entity->done[(int)Step::Prepare])
        ereport(ERROR,
                (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                 errmsg("entity %s of project %s of tenant %s is not prepared", entity->parent.entity,
                        s->project, s->tenant),
                 errdetail("%s", rel == NULL ? "It has no child table." : "Its child was not recorded."),
                 errhint("SELECT * FROM %s(%s, %s);", ExtensionName(s->schema, "vm_prepare"),
                         quote_literal_cstr(s->tenant), quote_literal_cstr(s->project))));
    CheckRights(entity->child);
    RequireHeap(rel);
    RequireColumns(entity->parent.parent, rel);
    s->entities[s->count] = entity;
    s->children[s->count] = FedChild{rel, QualifiedName(entity->child)};
    initStringInfo(&s->found[s->count].order);
    initStringInfo(&s->found[s->count].checks);
    s->count++;
}

// The flag stands. Set by hand, or before its record was lost, it is put on record: what comes after the
// switch waits for that.
static void TellSwitched(const Switch* s, const ProjectEntity* entity, TimestampTz since) {
    const char* name = entity->parent.entity;
    bool recorded = entity->done[(int)Step::Switch];
    if (!recorded)
        RecordStep(s->schema, s->tenant, s->project, name, Step::Switch, true,
                   psprintf("it was switched already, since %s", timestamptz_to_str(since)), NULL);
    ereport(NOTICE,
            (errmsg("entity %s of project %s of tenant %s is switched already", name, s->project, s->tenant),
             recorded ? 0 : errdetail("That was not on record, and is now.")));
}

static Switch SwitchOf(FunctionCallInfo fcinfo, int lock_timeout_ms) {
    Switch s = {};
    s.schema = ExtensionSchema(fcinfo);
    s.tenant = text_to_cstring(PG_GETARG_TEXT_PP(0));
    s.project = text_to_cstring(PG_GETARG_TEXT_PP(1));
    s.reason = ReasonOf(fcinfo, 3);
    const char* entity = TextArgument(fcinfo, 2);
    List* entities = TakeProject(s.schema, s.tenant, s.project, entity, lock_timeout_ms);
    int most = list_length(entities);
    s.entities = (ProjectEntity**)palloc0(sizeof(ProjectEntity*) * most);
    s.children = (FedChild*)palloc0(sizeof(FedChild) * most);
    s.found = (SwitchFound*)palloc0(sizeof(SwitchFound) * most);
    ListCell* cell;
    foreach (cell, entities) {
        ProjectEntity* one = (ProjectEntity*)lfirst(cell);
        TimestampTz since;
        if (ReadFlag(s.schema, s.tenant, s.project, one->parent.entity, &since))
            TellSwitched(&s, one, since);
        else
            AddEntity(&s, one);
    }
    return s;
}

// The moment itself.
struct Moment {
    const Switch* s;
    const SwitchSettings* settings;
    Snapshot checked;  // what the checks saw
    bool too_late;     // a feed has written since
    FeedTrace trace;
    TimestampTz began;
    TimestampTz* switched_at;
};

static int CompareOids(const void* a, const void* b) {
    Oid l = RelationGetRelid(((const FedChild*)a)->rel), r = RelationGetRelid(((const FedChild*)b)->rel);
    return l < r ? -1 : l > r;
}

static void LockChildren(const Switch* s, const char* mode, int lock_timeout_ms) {
    FedChild* children = (FedChild*)palloc(sizeof(FedChild) * s->count);
    memcpy(children, s->children, sizeof(FedChild) * s->count);
    qsort(children, s->count, sizeof(FedChild), CompareOids);
    int nest = NewGUCNestLevel();
    LimitLockWait(lock_timeout_ms);
    SafePath path = EnterSafePath();
    for (int i = 0; i < s->count; i++)
        RunSql(psprintf("LOCK TABLE ONLY %s IN %s MODE", children[i].name, mode), NULL, 0, 0);
    LeaveSafePath(path);
    AtEOXact_GUC(true, nest);
    pfree(children);
}

static char* FoundOf(const SwitchFound* found, TimestampTz began) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, INT64_FORMAT " %s in the child; waited %.1f s", found->staged,
                     found->staged == 1 ? "row" : "rows", (GetCurrentTimestamp() - began) / 1e6);
    if (found->warned) appendStringInfo(&text, "; warnings: %s", found->warned);
    const StringInfoData* const against[] = {&found->order, &found->checks};
    for (const StringInfoData* lines : against)
        if (lines->len > 0) appendStringInfo(&text, "\n%s", lines->data);
    return text.data;
}

static bool Overridden(const SwitchFound* found) {
    return found->order.len > 0 || found->checks.len > 0;
}

static void SwitchUnderLock(void* arg) {
    Moment* moment = (Moment*)arg;
    const Switch* s = moment->s;
    // This one is in nobody's way but a vacuum's, which gives in after deadlock_timeout.
    LockChildren(s, "SHARE UPDATE EXCLUSIVE", Max(DeadlockTimeout + 500, moment->settings->lock_timeout_ms));
    LockChildren(s, "SHARE", moment->settings->lock_timeout_ms);
    moment->trace = FindTrace(s->schema, s->children, s->count, moment->checked);
    moment->too_late = moment->trace.found;
    if (moment->too_late) ereport(ERROR, (errmsg_internal("rows have come since the checks")));
    for (int i = 0; i < s->count; i++) {
        const char* entity = s->entities[i]->parent.entity;
        const SwitchFound* found = &s->found[i];
        moment->switched_at[i] = WriteFlag(s->schema, s->tenant, s->project, entity, true);
        RecordStep(s->schema, s->tenant, s->project, entity, Step::Switch, true,
                   FoundOf(found, moment->began), Overridden(found) ? s->reason : NULL);
    }
}

static char* HolderOf(const Switch* s) {
    for (int i = 0; i < s->count; i++) {
        char* holder = WriterOf(s->schema, RelationGetRelid(s->children[i].rel));
        if (holder != NULL) return holder;
    }
    return pstrdup("Others hold it time and again.");
}

static char* WhyOf(const Moment* moment) {
    if (!moment->too_late) return HolderOf(moment->s);
    return psprintf("%s came to %s.", moment->trace.id ? psprintf("_id %s", moment->trace.id) : "A row",
                    moment->trace.table);
}

// What kept the last try from succeeding.
struct Delay {
    int tries;
    TimestampTz told;
};

// After a try that was undone: says so now and then, gives up in the end, else waits a little.
static void Yield(Delay* delay, const Moment* moment) {
    constexpr int64 kTellEvery = 30 * 1000 * 1000, kLongest = 1000 * 1000;
    const char* what = moment->too_late ? "the feed to rest between the checks and the lock"
                                        : psprintf("a lock on the rows of %s", moment->s->children[0].name);
    TimestampTz now = GetCurrentTimestamp();
    bool over = now >= moment->settings->drain.deadline;
    bool tell = delay->told != 0 && now - delay->told >= kTellEvery;
    char* detail = over || tell ? WhyOf(moment) : NULL;
    if (over)
        ereport(
            ERROR,
            (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
             errmsg("not switched: waited in vain for %s", what), errdetail("%s", detail),
             errhint("%s", moment->too_late
                               ? "Let no more be written to the source for a moment, or give quiet_seconds "
                                 "a value that the checks of the children fit in."
                               : "Let that transaction end, or allow more with max_wait or "
                                 "lock_timeout_ms.")));
    if (tell) ereport(NOTICE, (errmsg("waiting for %s", what), errdetail("%s", detail)));
    if (tell || delay->told == 0) delay->told = now;
    int64 most = Min((int64)100 * 1000 << Min(delay->tries, 4), kLongest);
    delay->tries++;
    SleepFor(most / 2 + (int64)(most / 2 * pg_prng_double(&pg_global_prng_state)));
}

// Until it is done, or an error. Drains, checks, locks for a moment; whoever writes in between has it begin
// anew.
static void Run(Switch* s, const SwitchSettings* settings, TimestampTz began, TimestampTz* switched_at) {
    Delay delay = {};
    Snapshot checked = NULL;
    for (;;) {
        if (checked == NULL) {
            WaitForQuiet(s->schema, s->children, s->count, &settings->drain);
            checked = RegisterSnapshot(GetLatestSnapshot());
            CheckFindings(s, checked);
        }
        Moment moment = {s, settings, checked, false, {}, began, switched_at};
        ErrorData* error = RunCaught(SwitchUnderLock, &moment);
        if (error == NULL) break;
        bool in_the_way = error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
                          error->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
        if (!moment.too_late && !in_the_way) ReThrowError(error);
        Yield(&delay, &moment);
        if (!moment.too_late) continue;
        UnregisterSnapshot(checked);
        checked = NULL;
    }
    UnregisterSnapshot(checked);
}

static void TellOverridden(const Switch* s) {
    for (int i = 0; i < s->count; i++) {
        const SwitchFound* found = &s->found[i];
        if (!Overridden(found)) continue;
        const char* between = found->order.len > 0 && found->checks.len > 0 ? "\n" : "";
        ereport(NOTICE, (errmsg("entity %s was switched in spite of what was found: %s",
                                s->entities[i]->parent.entity, s->reason),
                         errdetail("%s%s%s", found->order.data, between, found->checks.data)));
    }
}

static void CheckSwitchAllowed(void) {
    PreventCommandIfReadOnly("vm_switch()");
    if (IsolationUsesXactSnapshot())
        ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                        errmsg("a project can be switched only at READ COMMITTED"),
                        errdetail("An older snapshot would not show what the feed has written since."),
                        ReadCommittedHint()));
}

extern "C" {

// vm_switch(tenant, project, entity, override_reason, quiet_seconds, last_document, max_wait,
// lock_timeout_ms) → (entity, child, rows_staged, warnings, waited, switched_at). Entity NULL: all of the
// project's. Errors: 55000 with what stands in the way, 55P03 if another session is at work on the project,
// 22023 for arguments, 0A000 outside READ COMMITTED; nothing is changed then.
Datum vm_switch(PG_FUNCTION_ARGS) {
    RequireArguments(fcinfo, 2);
    CheckSwitchAllowed();
    InitMaterializedSRF(fcinfo, 0);
    TimestampTz began = GetCurrentTimestamp();
    SwitchSettings settings = SettingsOf(fcinfo);
    Switch s = SwitchOf(fcinfo, settings.lock_timeout_ms);
    if (s.count == 0) return (Datum)0;
    CheckOrder(&s);
    TimestampTz* switched_at = (TimestampTz*)palloc(sizeof(TimestampTz) * s.count);
    Run(&s, &settings, began, switched_at);
    TellOverridden(&s);
    ReturnSetInfo* result = (ReturnSetInfo*)fcinfo->resultinfo;
    for (int i = 0; i < s.count; i++) {
        Interval* waited = (Interval*)palloc0(sizeof(Interval));
        waited->time = (switched_at[i] - began) / 1000 * 1000;
        Datum values[] = {CStringGetTextDatum(s.entities[i]->parent.entity),
                          ObjectIdGetDatum(s.entities[i]->child),
                          Int64GetDatum(s.found[i].staged),
                          Int64GetDatum(s.found[i].warnings),
                          IntervalPGetDatum(waited),
                          TimestampTzGetDatum(switched_at[i])};
        bool nulls[lengthof(values)] = {};
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        relation_close(s.children[i].rel, NoLock);
    }
    return (Datum)0;
}
}
