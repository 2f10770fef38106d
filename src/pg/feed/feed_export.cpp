// mongoexport into psql: a load that stops halfway leaves nothing, and a second run does no harm.
#include "pg/server/compat.h"
#include "pg/feed/feed_quote.h"
#include "pg/feed/feed_task.h"

extern "C" {
#include <commands/dbcommands.h>
}

static const char kLoad[] =
    "# One line is one document. No character of it quotes or separates: JSON writes \\u0001 and \\u0002 "
    "where\n"
    "# they are meant. If mongoexport fails nothing is loaded. A second run brings what was added or "
    "changed\n"
    "# since and leaves all other rows alone; what was deleted at the source since stays. Run it before "
    "rows\n"
    "# move to the parent: afterwards it would stage them once more.\n"
    "load() {  # database collection child\n"
    "    {\n"
    "        echo 'BEGIN;'\n"
    "        echo 'CREATE TEMPORARY TABLE vm_documents (_doc text) ON COMMIT DROP;'\n"
    "        echo \"COPY pg_temp.vm_documents FROM STDIN (FORMAT csv, DELIMITER E'\\x02', QUOTE "
    "E'\\x01');\"\n"
    "        mongoexport --uri=\"$MONGODB_URI\" --db=\"$1\" --collection=\"$2\" --jsonFormat=canonical || "
    "exit\n"
    "        echo '\\.'\n"
    "        printf 'INSERT INTO %s AS c (_doc) SELECT _doc FROM pg_temp.vm_documents WHERE _doc IS NOT "
    "NULL\\n' "
    "\"$3\"\n"
    "        echo '    ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc WHERE c._doc IS DISTINCT FROM "
    "excluded._doc;'\n"
    "        echo 'COMMIT;'\n"
    "    } | psql -X -q -v ON_ERROR_STOP=1\n"
    "}\n";

char* ExportScript(List* children) {
    StringInfoData out;
    ListCell* cell;
    initStringInfo(&out);
    appendStringInfoString(
        &out, "#!/usr/bin/env bash\nset -euo pipefail\nexport PGCLIENTENCODING=UTF8 PGDATABASE=");
    AppendShellWord(&out, get_database_name(MyDatabaseId));
    appendStringInfoString(&out,
                           "\n: \"${MONGODB_URI:?is not set: mongodb://host:port/ without a database}\"\n\n");
    appendStringInfoString(&out, kLoad);
    foreach (cell, children) {
        const FeedChild* child = (const FeedChild*)lfirst(cell);
        appendStringInfoString(&out, "\n# ");
        AppendComment(&out,
                      psprintf("tenant %s, project %s, %s", child->tenant, child->project, child->entity));
        appendStringInfoString(&out, "\nload ");
        AppendShellWord(&out, child->database);
        appendStringInfoChar(&out, ' ');
        AppendShellWord(&out, child->collection);
        appendStringInfoChar(&out, ' ');
        AppendShellWord(&out, quote_qualified_identifier(child->schema, child->name));
    }
    return out.data;
}
