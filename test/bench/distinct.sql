-- For vm_distinct: the tables, the measurements, the table in Markdown.
CREATE TABLE vouchers (tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, category text, doc text);
SELECT format('CREATE TABLE vouchers_%s () INHERITS (vouchers)', i) FROM generate_series(1, 20) i \gexec
CREATE FUNCTION fill(child regclass, project text, first integer, last integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s SELECT ''acme'', %L, ''v_'' || md5(i::text), ''category '' || i * 7 %% 50, repeat(md5(i::text), 6)
        FROM generate_series(%s, %s) i', child, project, first, last);
END $$;
SELECT fill('vouchers', 'spread', 1, 250000) \g /dev/null
SELECT fill(('vouchers_' || i)::regclass, 'spread', 250001 + (i - 1) * 12500, 250000 + i * 12500) FROM generate_series(1, 20) i \g /dev/null
SELECT fill('vouchers_20', 'alone', 500001, 1000000) \g /dev/null
SELECT format('CREATE INDEX ON %s (tenant_id, project_id, %s)', c, k)
FROM (SELECT 'vouchers'::regclass UNION ALL SELECT inhrelid FROM pg_inherits WHERE inhparent = 'vouchers'::regclass) t (c),
    unnest('{category,id}'::text[]) k \gexec
VACUUM ANALYZE;

CREATE TABLE measured (k text, project text, variant text, ms double precision, found bigint);
CREATE PROCEDURE measure(k text, project text, variant text, times integer) LANGUAGE plpgsql AS $$
DECLARE
    query text := CASE variant
        WHEN 'loose' THEN format('SELECT count(value) FROM vm_distinct(''vouchers'', %L, ''{"tenant_id": "acme", "project_id": "%s"}'')', k, project)
        ELSE format('SELECT count(v) FROM (SELECT DISTINCT %I AS v FROM vouchers WHERE tenant_id = ''acme'' AND project_id = %L ORDER BY v) d', k, project)
    END;
    began timestamptz := clock_timestamp();
    found bigint;
BEGIN
    FOR i IN 1..times LOOP
        EXECUTE query INTO found;
    END LOOP;
    INSERT INTO measured VALUES (k, project, variant, extract(epoch FROM clock_timestamp() - began) * 1000 / times, found);
END $$;
-- Once to warm up, then in turns; who is first changes.
SELECT format('CALL measure(%L, %L, %L, %s)', k, project, variant, CASE WHEN k = 'category' AND variant = 'loose' THEN 20 ELSE 1 END)
FROM generate_series(0, :rounds) r, unnest('{category,id}'::text[]) k, unnest('{spread,alone}'::text[]) project, unnest('{plain,loose}'::text[]) variant
ORDER BY r, k, project, (variant = 'loose') = (r % 2 = 0) \gexec
DELETE FROM measured WHERE ctid IN (SELECT min(ctid) FROM measured GROUP BY k, project, variant);
SELECT 1 / (count(*) = 4)::integer FROM (SELECT DISTINCT k, project, found FROM measured) m \g /dev/null

SELECT '1,000,000 rows in a parent and its 20 children, an index on (tenant_id, project_id, column) on each; medians of ' || :rounds
    || E' rounds, in turns.\n\n| 500,000 rows of a project | distinct values of | `SELECT DISTINCT … ORDER BY` | `vm_distinct` | ratio |\n|---|---|---|---|---|';
SELECT format('| %s | `%s`: %s | %s ms | %s ms | **%s×** |', CASE project WHEN 'alone' THEN 'in one child' ELSE 'in parent and all children' END, k, found,
    round(s::numeric, 1), round(v::numeric, 2), round((s / v)::numeric, 1))
FROM (SELECT k, project, max(found) AS found, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE variant = 'plain') AS s,
          percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) FILTER (WHERE variant = 'loose') AS v
      FROM measured GROUP BY k, project) m
ORDER BY k, project;
