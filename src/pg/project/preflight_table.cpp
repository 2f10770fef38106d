// What the catalog says about the table itself.
#include "pg/project/preflight.h"

// Nothing says which rows of child and parent are the same: the nearest to a key that there is.
static const char kNoKey[] = R"(
    WITH unique_index AS (
        SELECT i.*, n.nspname, c.relname, (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY k.ordinality)
                FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k (attnum, ordinality)
                JOIN pg_attribute a ON a.attrelid = $1 AND a.attnum = k.attnum) AS columns,
            (SELECT string_agg(format('ALTER COLUMN %I SET NOT NULL', a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a
                WHERE a.attrelid = $1 AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull) AS set_not_null,
            EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = ANY (i.indkey)
                AND (a.attidentity <> '' OR a.attgenerated <> '')) AS made_here
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE i.indrelid = $1 AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
    ), way AS (
        SELECT 1 AS rank, relname, format('unique index %I is not valid', relname) AS problem,
            format('REINDEX INDEX CONCURRENTLY %I.%I;', nspname, relname) AS statement
        FROM unique_index WHERE NOT indisvalid AND indimmediate AND set_not_null IS NULL AND NOT made_here
        UNION ALL
        SELECT 2, relname, format('%I is deferrable', relname),
            format('CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s);', $2, columns)
        FROM unique_index WHERE NOT indimmediate AND set_not_null IS NULL AND NOT made_here
        UNION ALL
        SELECT 3, relname, format('the columns of unique index %I may be NULL', relname),
            format('ALTER TABLE %s %s;', $2, set_not_null)
        FROM unique_index WHERE indisvalid AND indimmediate AND set_not_null IS NOT NULL AND NOT made_here
        UNION ALL
        SELECT 4, '', 'it has no unique index on NOT NULL columns that come from the documents', (
            SELECT format('CREATE UNIQUE INDEX CONCURRENTLY ON %s (%s);', $2, string_agg(quote_ident(attname), ', '
                ORDER BY attname = 'id', array_position(ARRAY['tenant_id', 'project_id'], attname::text), attnum))
            FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attnotnull
                AND attidentity = '' AND attgenerated = '' AND (attname IN ('tenant_id', 'project_id', 'id') OR attname = ANY ($5))
            HAVING bool_or(attname = 'id'))
    )
    SELECT 'error', 'key', format('nothing says which rows of child and parent are the same: %s', problem), statement
    FROM way WHERE $4 = 0 ORDER BY rank, relname LIMIT 1)";

static const char kIndexes[] = R"(
    SELECT 'warning', 'index', format('index %I is not valid, or still being built: children are made without it', c.relname),
        format('REINDEX INDEX CONCURRENTLY %I.%I;', n.nspname, c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE i.indrelid = $1 AND NOT i.indisvalid
    UNION ALL
    SELECT 'warning', 'key', format('primary key %I is deferrable: rows are told apart by another unique index, and move by SQL', conname), NULL
    FROM pg_constraint WHERE conrelid = $1 AND contype = 'p' AND condeferrable AND $4 <> 0
    UNION ALL
    SELECT 'warning', 'index', format('AWS DMS cannot replicate to a table with a unique index on coalesce, and children have %I too', c.relname), NULL
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND pg_get_expr(i.indexprs, i.indrelid) ILIKE '%coalesce(%'
    UNION ALL
    SELECT 'info', 'index', format('unique without tenant or project: %s; two projects may stage the same key, and only the move finds out',
        string_agg(quote_ident(c.relname), ', ' ORDER BY c.relname)), NULL
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND cardinality($5) > 0 AND i.indexprs IS NULL
        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = ANY (i.indkey) AND a.attname = ANY ($5))
    HAVING count(*) > 0
    UNION ALL
    SELECT 'info', 'index', format('not led by tenant or project: %s; queries that give neither look into every child',
        string_agg(quote_ident(c.relname), ', ' ORDER BY c.relname)), NULL
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE i.indrelid = $1 AND i.indisvalid AND cardinality($5) > 0
        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum = i.indkey[0] AND a.attname = ANY ($5))
    HAVING count(*) > 0)";

static const char kForeignKeys[] = R"(
    SELECT 'warning', 'foreign key', CASE WHEN k.conrelid = $1
        THEN format('%I refers to the table itself: children are made without it, and a row can move only after the one it refers to', k.conname)
        ELSE format('%1$I of %2$s does not see staged rows: a row that refers to one is refused until that has moved, or until ALTER TABLE %2$s DROP CONSTRAINT %1$I;',
            k.conname, k.conrelid::regclass) END, NULL
    FROM pg_constraint k WHERE k.confrelid = $1 AND k.contype = 'f' AND k.conparentid = 0
    ORDER BY k.conrelid = $1, k.conrelid::regclass::text, k.conname)";

static const char kTriggers[] = R"(
    SELECT 'warning', 'trigger', format('row triggers of the parent see nothing of staged rows, whoever writes them; on INSERT they fire when a row moves: %s',
        string_agg(quote_ident(tgname), ', ' ORDER BY tgname)), NULL
    FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 1 = 1 HAVING count(*) > 0
    UNION ALL
    SELECT 'info', 'trigger', format('statement triggers of the parent do not fire for the feed, which writes to the child: %s',
        string_agg(quote_ident(tgname), ', ' ORDER BY tgname)), NULL
    FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 1 = 0 HAVING count(*) > 0
    UNION ALL
    SELECT 'info', 'row security', 'policies of the parent do not hold for the feed, which writes to the child', NULL
    FROM pg_class WHERE oid = $1 AND relrowsecurity
    UNION ALL
    SELECT 'info', 'rule', format('rules of the parent do not hold for the feed, which writes to the child: %s',
        string_agg(quote_ident(rulename), ', ' ORDER BY rulename)), NULL
    FROM pg_rewrite WHERE ev_class = $1 AND ev_enabled <> 'D' HAVING count(*) > 0)";

static const char kPublications[] = R"(
    WITH publication AS (
        SELECT p.*, p.puballtables OR EXISTS (SELECT FROM pg_publication_namespace s WHERE s.pnpubid = p.oid AND s.pnnspid = c.relnamespace)
                AS children_too,
            EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = $1) AS by_name, c.relreplident,
            EXISTS (SELECT FROM pg_index WHERE indrelid = $1 AND indisprimary AND indimmediate) AS has_key
        FROM pg_publication p, pg_class c WHERE c.oid = $1
    )
    SELECT 'warning', 'publication', format('publication %I takes in every child under its own name: subscribers need these tables, and a move is a DELETE there', pubname), NULL
    FROM publication WHERE children_too
    UNION ALL
    SELECT 'info', 'publication', format('publication %I has the parent without its new children: subscribers see a row once it has moved', pubname), NULL
    FROM publication WHERE by_name AND NOT children_too
    UNION ALL
    SELECT 'error', 'publication', format('publication %I replicates updates and the parent has no replica identity: a move that replaces rows is refused', pubname),
        CASE WHEN $4 <> 0 THEN format('ALTER TABLE %s REPLICA IDENTITY USING INDEX %s;', $2, (SELECT quote_ident(relname) FROM pg_class WHERE oid = $4))
            ELSE format('ALTER TABLE %s REPLICA IDENTITY FULL;', $2) END
    FROM publication WHERE (children_too OR by_name) AND pubupdate AND (relreplident = 'n' OR relreplident = 'd' AND NOT has_key))";

static const char kShape[] = R"(
    SELECT 'warning', 'table', 'it is unlogged: a crash of the server empties it, and with it every row that has moved', format('ALTER TABLE %s SET LOGGED;', $2)
    FROM pg_class WHERE oid = $1 AND relpersistence = 'u'
    UNION ALL
    SELECT 'warning', 'table', format('it inherits from %s, through which staged rows are seen too', string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno)), NULL
    FROM pg_inherits WHERE inhrelid = $1 HAVING count(*) > 0
    UNION ALL
    SELECT 'info', 'table', format('%s table%s inherit%s from it without being the child of a feed', count(*), CASE WHEN count(*) > 1 THEN 's' END,
        CASE WHEN count(*) = 1 THEN 's' END), NULL
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE i.inhparent = $1 AND c.relkind = 'r'
        AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.inhrelid AND a.attname = '_doc' AND NOT a.attisdropped)
    HAVING count(*) > 0
    UNION ALL
    SELECT 'error', 'column', format('its column _id is of type %s, and a child has one of type text', format_type(atttypid, atttypmod)), NULL
    FROM pg_attribute WHERE attrelid = $1 AND attname = '_id' AND NOT attisdropped AND atttypid <> 'text'::regtype
    UNION ALL
    SELECT 'info', 'column', 'it has a column _id: children fill it with the document''s', NULL
    FROM pg_attribute WHERE attrelid = $1 AND attname = '_id' AND NOT attisdropped AND atttypid = 'text'::regtype
    UNION ALL
    SELECT 'info', 'column', format('identity of %s: a document''s value is left alone, and children draw from the same sequence',
        string_agg(quote_ident(attname), ', ' ORDER BY attnum)), NULL
    FROM pg_attribute WHERE attrelid = $1 AND attidentity <> '' AND NOT attisdropped HAVING count(*) > 0
    UNION ALL
    SELECT 'info', 'table', 'it is partitioned: a child stands alone, and its rows are seen once they have moved', NULL
    FROM pg_class WHERE oid = $1 AND relkind = 'p')";

// What pg/move_path.cpp goes by.
static const char kSlow[] = R"(
    SELECT 'info', 'move', format('moves go by SQL, which is slower than writing to the table itself: the parent has %s', string_agg(what, ', ' ORDER BY rank)), NULL
    FROM (
        SELECT 1, 'triggers' FROM pg_trigger WHERE tgrelid = $1 AND NOT tgisinternal AND tgtype & 4 = 4
        UNION SELECT 2, 'foreign keys' FROM pg_constraint WHERE conrelid = $1 AND contype = 'f'
        UNION SELECT 3, 'rules' FROM pg_rewrite WHERE ev_class = $1
        UNION SELECT 4, 'row security' FROM pg_class WHERE oid = $1 AND relrowsecurity
        UNION SELECT 5, 'generated columns' FROM pg_attribute WHERE attrelid = $1 AND attgenerated <> '' AND NOT attisdropped
        UNION SELECT 6, 'exclusion constraints' FROM pg_constraint WHERE conrelid = $1 AND contype = 'x'
        UNION SELECT 7, 'deferrable constraints' FROM pg_constraint WHERE conrelid = $1 AND contype IN ('p', 'u', 'x') AND condeferrable
    ) reason (rank, what) HAVING count(*) > 0)";

void FindTable(Preflight* flight) {
    const char* const all[] = {kNoKey, kIndexes, kForeignKeys, kTriggers, kPublications, kShape, kSlow};
    for (const char* sql : all) AskFindings(flight, sql);
}
