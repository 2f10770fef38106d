#include "pg/feed/feed_task.h"

#include "pg/project/project.h"
#include "pg/server/tables.h"

extern "C" {
PG_FUNCTION_INFO_V1(vm_feed_task);
}

// The template with the names in place of {tenant} and {project}. What stands in a name is not replaced
// again.
static char* CollectionOf(const char* pattern, const char* tenant, const char* project) {
    static const char kTenant[] = "{tenant}", kProject[] = "{project}";
    StringInfoData out;
    initStringInfo(&out);
    for (const char* p = pattern; *p;) {
        if (strncmp(p, kTenant, strlen(kTenant)) == 0) {
            appendStringInfoString(&out, tenant);
            p += strlen(kTenant);
        } else if (strncmp(p, kProject, strlen(kProject)) == 0) {
            appendStringInfoString(&out, project);
            p += strlen(kProject);
        } else {
            appendStringInfoChar(&out, *p++);
        }
    }
    return out.data;
}

static char* PrepareStatement(Oid schema, const char* tenant, const char* project) {
    return psprintf("SELECT * FROM %s(%s, %s);", ExtensionName(schema, "vm_prepare"),
                    quote_literal_cstr(tenant), quote_literal_cstr(project));
}

// A project that is named has a child for each entity that is asked for, or has finished it.
static void CheckPrepared(Oid schema, FeedScope scope) {
    bool any = false;
    ListCell* cell;
    foreach (cell, ProjectEntities(schema, scope.tenant, scope.project, scope.entity, false)) {
        const ProjectEntity* entity = (const ProjectEntity*)lfirst(cell);
        any |= OidIsValid(entity->child);
        if (OidIsValid(entity->child) || entity->done[(int)Step::Finish]) continue;
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("entity \"%s\" of project %s of tenant %s is not prepared",
                               entity->parent.entity, scope.project, scope.tenant),
                        errdetail("A feed writes to its child, and there is none."),
                        errhint("%s", PrepareStatement(schema, scope.tenant, scope.project))));
    }
    if (any) return;
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    errmsg("project %s of tenant %s is finished", scope.project, scope.tenant),
                    errdetail("Its children are gone, and no feed has anything to write to.")));
}

// No child of any project: of no such entity, of no such tenant, or of none that is prepared.
static void RaiseNothing(Oid schema, FeedScope scope) {
    SqlArg tenant[] = {TextArg(scope.tenant)}, entity[] = {TextArg(scope.entity)};
    AsOwner owner = EnterAsOwner(schema);
    SqlResult project = RunSql(
        psprintf("SELECT tenant, project FROM %s WHERE tenant = $1 OR $1 IS NULL ORDER BY tenant COLLATE "
                 "\"C\", project COLLATE \"C\" LIMIT 1",
                 ExtensionName(schema, "vm_project")),
        tenant, 1, 2);
    bool known = RunSql(psprintf("SELECT true FROM %s WHERE entity = $1 OR $1 IS NULL",
                                 ExtensionName(schema, "vm_parent")),
                        entity, 1, 1)
                     .found;
    LeaveAsOwner(owner);
    if (!known && scope.entity != NULL) RaiseNoEntity(schema, scope.entity);
    if (!known)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("no parent is registered"),
                        errhint("Entities are rows of %s; see %s.", ExtensionName(schema, "vm_parent"),
                                ExtensionName(schema, "vm_register_parent"))));
    if (!project.found)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        scope.tenant ? errmsg("no project of tenant %s is registered", scope.tenant)
                                     : errmsg("no project is registered"),
                        errhint("Add them with %s.", ExtensionName(schema, "vm_add_project"))));
    ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                    scope.tenant ? errmsg("no project of tenant %s has a child to feed", scope.tenant)
                                 : errmsg("no project has a child to feed"),
                    errdetail("Projects that are not prepared yet, and those that are finished, have none."),
                    errhint("%s", PrepareStatement(schema, TextDatumGetCString(project.value[0]),
                                                   TextDatumGetCString(project.value[1])))));
}

// A row of the query in ReadChildren. SPI is connected; the copy is in the current context.
struct Row {
    char* tenant;
    char* project;
    char* entity;
    char* database;
    char* pattern;
    Oid child;
    char* again;  // the call that registers the entity as it is, but for its database
};

static FeedChild* ChildOf(Oid schema, const Row* row) {
    char* name = get_rel_name(row->child);
    if (name == NULL)
        ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
                        errmsg("the child of entity \"%s\" of project %s of tenant %s was dropped",
                               row->entity, row->project, row->tenant),
                        errhint("Prepare the project again: %s",
                                PrepareStatement(schema, row->tenant, row->project))));
    if (row->database == NULL)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                        errmsg("the source database of entity \"%s\" is not known", row->entity),
                        errhint("Register it again with it: SELECT %s(%s, source_database => '...');",
                                ExtensionName(schema, "vm_register_parent"), row->again)));
    FeedChild* child = (FeedChild*)palloc(sizeof(FeedChild));
    *child = {row->tenant,
              row->project,
              row->entity,
              row->database,
              CollectionOf(row->pattern, row->tenant, row->project),
              get_namespace_name(get_rel_namespace(row->child)),
              name};
    return child;
}

static char* TextAt(uint64 row, int column) {
    return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

// The children of the scope, in order.
static List* ReadChildren(Oid schema, FeedScope scope) {
    const char* texts[] = {scope.tenant, scope.project, scope.entity};
    Oid types[3];
    Datum values[3];
    char nulls[3];
    for (int i = 0; i < 3; i++) {
        types[i] = TEXTOID;
        values[i] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum)0;
        nulls[i] = texts[i] ? ' ' : 'n';
    }
    MemoryContext caller = CurrentMemoryContext;
    AsOwner owner = EnterAsOwner(schema);
    if (SPI_connect() != SPI_OK_CONNECT) elog(ERROR, "SPI_connect failed");
    int code = SPI_execute_with_args(
        psprintf(
            "SELECT e.tenant, e.project, e.entity, p.source_database, p.source_collection, e.child::oid, "
            "format('%%L, %%L, %%L, closed => %%L, move_order => %%s, move_active => %%L, source_collection "
            "=> %%L', "
            "p.parent, p.mapping, p.entity, coalesce(p.closed, 'false'), p.move_order, p.move_active, "
            "p.source_collection) FROM %s e JOIN %s p ON p.entity = e.entity WHERE e.child IS NOT NULL AND "
            "(e.tenant = $1 OR $1 IS "
            "NULL) AND (e.project = $2 OR $2 IS NULL) AND (e.entity = $3 OR $3 IS NULL) ORDER BY e.tenant "
            "COLLATE \"C\", e.project COLLATE \"C\", p.move_order, e.entity COLLATE \"C\"",
            ExtensionName(schema, "vm_project_entity"), ExtensionName(schema, "vm_parent")),
        3, types, values, nulls, false, 0);
    if (code != SPI_OK_SELECT) elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(code));
    List* children = NIL;
    MemoryContext spi = MemoryContextSwitchTo(caller);
    for (uint64 i = 0; i < SPI_processed; i++) {
        bool null;
        Row row = {TextAt(i, 1),
                   TextAt(i, 2),
                   TextAt(i, 3),
                   TextAt(i, 4),
                   TextAt(i, 5),
                   DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 6, &null)),
                   TextAt(i, 7)};
        children = lappend(children, ChildOf(schema, &row));
    }
    MemoryContextSwitchTo(spi);
    SPI_finish();
    LeaveAsOwner(owner);
    return children;
}

static int CompareSources(const ListCell* a, const ListCell* b) {
    const FeedChild* l = (const FeedChild*)lfirst(a);
    const FeedChild* r = (const FeedChild*)lfirst(b);
    int database = strcmp(l->database, r->database);
    return database != 0 ? database : strcmp(l->collection, r->collection);
}

// A collection has one child, whatever feeds it.
static void CheckSources(List* children) {
    List* sorted = list_copy(children);
    list_sort(sorted, CompareSources);
    for (int i = 1; i < list_length(sorted); i++) {
        if (CompareSources(list_nth_cell(sorted, i - 1), list_nth_cell(sorted, i)) != 0) continue;
        const FeedChild* one = (const FeedChild*)list_nth(sorted, i - 1);
        const FeedChild* other = (const FeedChild*)list_nth(sorted, i);
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("collection \"%s\" of database \"%s\" would be the source of two children",
                    one->collection, one->database),
             errdetail(
                 "Entity \"%s\" of project %s of tenant %s, and entity \"%s\" of project %s of tenant %s.",
                 one->entity, one->project, one->tenant, other->entity, other->project, other->tenant),
             errhint("source_collection of the parent tells projects apart by {tenant} and {project}.")));
    }
}

extern "C" {

// vm_feed_task(tenant, project, format, entity) → text. tenant NULL: all of them; project NULL: all of the
// tenant's; entity NULL: all. format: dms, dms-settings, dms-source, dms-target, debezium, mongoexport.
// Errors: an unknown format, project or entity, no source database, one collection for two children (22023);
// a project that is named is not prepared, or none is (55000); what the feed cannot do (0A000, 54000).
Datum vm_feed_task(PG_FUNCTION_ARGS) {
    RequireArgument(fcinfo, 2);
    Oid schema = ExtensionSchema(fcinfo);
    char* format = text_to_cstring(PG_GETARG_TEXT_PP(2));
    FeedScope scope = {TextArgument(fcinfo, 0), TextArgument(fcinfo, 1), TextArgument(fcinfo, 3)};
    bool dms = strcmp(format, "dms") == 0, debezium = strcmp(format, "debezium") == 0;
    if (strcmp(format, "dms-settings") == 0) PG_RETURN_TEXT_P(cstring_to_text(DmsSettings()));
    if (strcmp(format, "dms-source") == 0) PG_RETURN_TEXT_P(cstring_to_text(DmsSource()));
    if (strcmp(format, "dms-target") == 0) PG_RETURN_TEXT_P(cstring_to_text(DmsTarget()));
    if (!dms && !debezium && strcmp(format, "mongoexport") != 0)
        ereport(ERROR,
                (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("format cannot be \"%s\"", format),
                 errhint("It is dms, dms-settings, dms-source, dms-target, debezium or mongoexport.")));
    if (scope.tenant == NULL && scope.project != NULL)
        ereport(
            ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("project %s needs its tenant", scope.project),
             errhint("NULL, NULL stands for all projects; a tenant and NULL for all of the tenant's.")));

    if (scope.project != NULL) CheckPrepared(schema, scope);
    List* children = ReadChildren(schema, scope);
    if (children == NIL) RaiseNothing(schema, scope);
    CheckSources(children);
    char* text = dms        ? DmsMappings(children)
                 : debezium ? DebeziumProperties(children, scope)
                            : ExportScript(children);
    PG_RETURN_TEXT_P(cstring_to_text(text));
}
}
