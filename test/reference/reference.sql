-- Prints docs/reference.md from the catalog. Order and groups are those of the install script: a section that has a title after its
-- file's name opens a group. What stands in no section comes last.
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET search_path = pg_temp, pg_catalog;

CREATE TEMP TABLE line AS
SELECT n, l AS text, (regexp_match(l, '^-- (src/\S+\.cpp)'))[1] AS file, (regexp_match(l, '^-- src/\S+\.cpp: (.+)$'))[1] AS title,
    (regexp_match(l, '^CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE|TABLE|VIEW) (\w+)'))[1] AS creates
FROM pg_extension e, pg_config c,
    regexp_split_to_table(pg_read_file(format('%s/extension/voucher_migrate--%s.sql', c.setting, e.extversion)), '\n') WITH ORDINALITY t(l, n)
WHERE e.extname = 'voucher_migrate' AND c.name = 'SHAREDIR';

-- The first place where something of the name is made.
CREATE TEMP TABLE place AS
SELECT DISTINCT ON (l.creates) l.creates AS name, l.n, (SELECT f.file FROM line f WHERE f.n < l.n AND f.file IS NOT NULL ORDER BY f.n DESC LIMIT 1),
    (SELECT t.n FROM line t WHERE t.n < l.n AND t.title IS NOT NULL ORDER BY t.n DESC LIMIT 1) AS title_n,
    (SELECT t.title FROM line t WHERE t.n < l.n AND t.title IS NOT NULL ORDER BY t.n DESC LIMIT 1)
FROM line l WHERE l.creates IS NOT NULL ORDER BY l.creates, l.n;

CREATE TEMP TABLE object AS
SELECT d.classid, d.objid, o.name, o.kind, p.n, p.file, coalesce(p.title_n, 1000000) AS group_n, coalesce(p.title, 'Others') AS title,
    coalesce(obj_description(d.objid, d.classid::regclass::name), '') AS comment
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid CROSS JOIN LATERAL (
    SELECT f.proname::text, CASE WHEN f.prokind = 'p' THEN 'procedure' WHEN f.prorettype = 'trigger'::regtype THEN 'trigger function' ELSE 'function' END
    FROM pg_proc f WHERE d.classid = 'pg_proc'::regclass AND f.oid = d.objid
    UNION ALL SELECT c.relname::text, CASE c.relkind WHEN 'v' THEN 'view' ELSE 'table' END
    FROM pg_class c WHERE d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('r', 'v')) o(name, kind)
LEFT JOIN place p ON p.name = o.name
WHERE e.extname = 'voucher_migrate' AND d.deptype = 'e';

-- Words as Markdown: in a paragraph, in a cell, as a sentence.
CREATE FUNCTION pg_temp.plain(words text) RETURNS text LANGUAGE sql AS $$
    SELECT regexp_replace(replace(replace($1, '<', '&lt;'), '*', '\*'), '(?<![\w"])(vm_\w+|transform_\w+|_id|_doc)(?![\w(])', '`\1`', 'g')
$$;
CREATE FUNCTION pg_temp.cell(words text) RETURNS text LANGUAGE sql AS $$ SELECT replace(pg_temp.plain(coalesce($1, '')), '|', '\|') $$;
CREATE FUNCTION pg_temp.sentence(words text) RETURNS text LANGUAGE sql AS $$ SELECT upper(left(w, 1)) || substr(w, 2) || '.' FROM pg_temp.plain($1) w $$;

-- A default without its type.
CREATE FUNCTION pg_temp.short(expression text) RETURNS text LANGUAGE sql AS $$ SELECT replace(regexp_replace($1, '::[a-z "\[\]]+$', ''), '|', '\|') $$;

-- A comment's lines after its first: "label: value", or prose. One that begins with a blank goes on.
CREATE TEMP TABLE remark AS
WITH lines AS (
    SELECT classid, objid, t.n, l, count(*) FILTER (WHERE l !~ '^\s') OVER (PARTITION BY classid, objid ORDER BY t.n) AS item
    FROM object, regexp_split_to_table(comment, '\n') WITH ORDINALITY t(l, n) WHERE t.n > 1 AND l <> ''),
items AS (SELECT classid, objid, item, string_agg(trim(l), ' ' ORDER BY n) AS words FROM lines GROUP BY classid, objid, item)
SELECT *, (regexp_match(words, '^("[^"]+"|\w+): '))[1] AS label, regexp_replace(words, '^("[^"]+"|\w+): ', '') AS value FROM items;

CREATE TEMP TABLE argument AS
SELECT o.objid, a.n, coalesce(nullif(a.name, ''), '$' || a.n) AS name, a.mode, coalesce(a.mode, 'i') IN ('i', 'v', 'b') AS input, a.mode IN ('o', 't', 'b') AS output,
    format_type(a.type, NULL) AS type, pg_temp.short(pg_get_function_arg_default(p.oid, a.n::integer)) AS fallback, r.value AS words
FROM object o JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
CROSS JOIN unnest(coalesce(p.proargnames, '{}'), coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargmodes) WITH ORDINALITY a(name, type, mode, n)
LEFT JOIN remark r ON r.classid = o.classid AND r.objid = o.objid AND r.label = a.name;

-- Markdown, piece by piece; NULL where there is nothing to say. First f(a, b).
CREATE FUNCTION pg_temp.call_of(o object) RETURNS text LANGUAGE sql AS $$
    SELECT format('`%s%s(%s)`', CASE WHEN o.kind = 'procedure' THEN 'CALL ' END, o.name, (SELECT string_agg(CASE a.mode WHEN 'v' THEN 'VARIADIC '
        ELSE '' END || a.name, ', ' ORDER BY a.n) FROM argument a WHERE a.objid = o.objid AND a.input)) || E'  \n'
    WHERE o.kind IN ('function', 'procedure')
$$;

CREATE FUNCTION pg_temp.facts_of(o object) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(' · ', o.kind,
        CASE p.provolatile WHEN 'i' THEN 'immutable' WHEN 's' THEN 'stable' END,
        CASE has_function_privilege('public', p.oid, 'EXECUTE') WHEN true THEN 'for everyone' WHEN false THEN 'for whom it is granted to' END,
        CASE WHEN has_table_privilege('public', c.oid, 'SELECT') THEN 'for everyone to read' END,
        CASE WHEN c.relkind = 'r' THEN coalesce('its rows are in pg_dump' || CASE WHEN e.dumped <> '' THEN format(' (%s)', e.dumped) ELSE '' END,
            'its rows are not in pg_dump') END,
        format('[%s](../%s)', o.file, o.file))
    FROM (SELECT extcondition[array_position(extconfig, o.objid)] AS dumped FROM pg_extension WHERE extname = 'voucher_migrate') e
    LEFT JOIN pg_proc p ON o.classid = 'pg_proc'::regclass AND p.oid = o.objid
    LEFT JOIN pg_class c ON o.classid = 'pg_class'::regclass AND c.oid = o.objid
$$;

CREATE FUNCTION pg_temp.table_of(VARIADIC heads text[]) RETURNS text LANGUAGE sql AS $$
    SELECT E'\n| ' || array_to_string(heads, ' | ') || E' |\n' || repeat('|---', cardinality(heads)) || E'|\n'
$$;

CREATE FUNCTION pg_temp.arguments_of(o object) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN bool_or(fallback IS NOT NULL)
        THEN pg_temp.table_of('argument', 'type', 'default', '') || string_agg(format('| `%s` | %s | %s | %s |', name, type, '`' || fallback || '`', pg_temp.cell(words)), E'\n' ORDER BY n)
        ELSE pg_temp.table_of('argument', 'type', '') || string_agg(format('| `%s` | %s | %s |', name, type, pg_temp.cell(words)), E'\n' ORDER BY n) END
    FROM argument WHERE objid = o.objid AND input
$$;

CREATE FUNCTION pg_temp.results_of(o object) RETURNS text LANGUAGE sql AS $$
    SELECT E'\n' || CASE WHEN p.proretset THEN 'Returns rows:' ELSE 'Returns:' END || E'\n' || pg_temp.table_of('column', 'type', '')
        || string_agg(format('| `%s` | %s | %s |', a.name, a.type, pg_temp.cell(a.words)), E'\n' ORDER BY a.n)
    FROM pg_proc p JOIN argument a ON a.objid = p.oid AND a.output
    WHERE o.classid = 'pg_proc'::regclass AND p.oid = o.objid GROUP BY p.proretset
$$;

CREATE FUNCTION pg_temp.columns_of(o object) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN o.kind = 'table'
        THEN pg_temp.table_of('column', 'type', 'default', '') || string_agg(format('| `%s` | %s%s | %s | %s |', a.attname, a.type, CASE WHEN a.attnotnull THEN ' NOT NULL' END,
            CASE WHEN a.attidentity <> '' THEN 'identity' ELSE '`' || a.fallback || '`' END, a.words), E'\n' ORDER BY a.attnum)
        ELSE pg_temp.table_of('column', 'type', '') || string_agg(format('| `%s` | %s | %s |', a.attname, a.type, a.words), E'\n' ORDER BY a.attnum) END
    FROM (SELECT att.*, format_type(atttypid, atttypmod) AS type, pg_temp.cell(col_description(attrelid, attnum)) AS words,
            pg_temp.short(pg_get_expr(adbin, adrelid)) AS fallback
        FROM pg_attribute att LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE o.classid = 'pg_class'::regclass AND attrelid = o.objid AND attnum > 0 AND NOT attisdropped) a
    HAVING count(*) > 0
$$;

-- What a comment says beside arguments and columns. A function that returns a value says so even without words.
CREATE FUNCTION pg_temp.remarks_of(o object) RETURNS text LANGUAGE sql AS $$
    WITH result AS (SELECT pg_get_function_result(p.oid) AS type FROM pg_proc p WHERE o.kind = 'function' AND p.oid = o.objid AND p.prorettype <> 'void'::regtype
            AND NOT EXISTS (SELECT FROM argument a WHERE a.objid = o.objid AND a.output)),
        r AS (SELECT *, item = min(item) OVER () AS first FROM remark WHERE classid = o.classid AND objid = o.objid
            AND NOT EXISTS (SELECT FROM argument a WHERE a.objid = remark.objid AND a.name = remark.label))
    SELECT concat_ws(E'\n',
        (SELECT format(E'\nReturns %s.', type) FROM result WHERE NOT EXISTS (SELECT FROM r WHERE label = 'Returns')),
        (SELECT string_agg(CASE WHEN r.first OR r.label IN ('Returns', 'Errors') THEN E'\n' ELSE '' END || CASE r.label
            WHEN 'Returns' THEN format('Returns %s: %s.', coalesce((SELECT type FROM result), 'rows'), pg_temp.plain(r.value))
            WHEN 'Errors' THEN format('**Errors**: %s.', pg_temp.plain(r.value))
            ELSE pg_temp.plain(r.words) END, E'\n' ORDER BY r.item) FROM r))
$$;

CREATE FUNCTION pg_temp.body_of(o object) RETURNS text LANGUAGE sql AS $$
    SELECT concat_ws(E'\n', E'\n### ' || o.name, E'\n' || coalesce(pg_temp.call_of(o), '') || pg_temp.facts_of(o),
        E'\n' || pg_temp.sentence(nullif(split_part(o.comment, E'\n', 1), '')),
        pg_temp.arguments_of(o), pg_temp.results_of(o), pg_temp.columns_of(o), nullif(pg_temp.remarks_of(o), ''))
$$;

SELECT '# Reference

Every function, table and view of the extension, by what it is for. Made by `make reference` from the comments in the catalog, which `\df+` and
`\d+` show too.

Functions run with the rights of who calls them. Those marked *for whom it is granted to* write, and nobody but the owner of the extension
may call them at first: `GRANT EXECUTE ON FUNCTION … TO …`. Arguments can be given by name, `f(a => 1)`. A NULL where none is said to be allowed is
SQLSTATE 22004.

' || string_agg(format('- [%s](#%s): %s', title, replace(lower(regexp_replace(title, '[^\w -]', '', 'g')), ' ', '-'), names), E'\n' ORDER BY group_n)
FROM (SELECT group_n, title, string_agg(format('[%s](#%s)', name, name), ', ' ORDER BY n, name) AS names FROM object GROUP BY group_n, title) g;

SELECT CASE WHEN lag(o.group_n) OVER w IS DISTINCT FROM o.group_n THEN E'\n' || format('## %s', o.title) || E'\n' ELSE '' END || pg_temp.body_of(o)
FROM object o WINDOW w AS (ORDER BY o.group_n, o.n, o.name, o.objid) ORDER BY o.group_n, o.n, o.name, o.objid;
