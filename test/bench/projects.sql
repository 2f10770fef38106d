-- For projects: the tables, the measurements, the tables in Markdown.
CREATE EXTENSION voucher_migrate;
CREATE TABLE vouchers (tenant_id text, project_id text, id text, code text, deleted boolean, updated_at timestamptz,
    PRIMARY KEY (tenant_id, project_id, id));
CREATE INDEX ON vouchers (tenant_id, project_id, code);
CREATE TABLE pooled (LIKE vouchers INCLUDING ALL);
SELECT vm_define_mapping('bench', '{"watermark": ["updated_at"]}') \g /dev/null
SELECT vm_register_parent('vouchers', 'bench', 'voucher') \g /dev/null

CREATE TABLE planned (children integer, variant text, planning double precision, execution double precision);
CREATE TABLE locks (children integer, held bigint);
CREATE TABLE steps (variant text, step text, ms double precision);

-- The application's query: one row by its key. Planned anew each time.
CREATE PROCEDURE plan(children integer, variant text, times integer) LANGUAGE plpgsql AS $$
DECLARE
    explained json;
BEGIN
    FOR i IN 1..times LOOP
        EXECUTE 'EXPLAIN (ANALYZE, SUMMARY, FORMAT json) SELECT * FROM vouchers
            WHERE tenant_id = ''t'' AND project_id = ''p7'' AND id = ''3''' INTO explained;
        INSERT INTO planned VALUES (children, variant, (explained -> 0 ->> 'Planning Time')::float, (explained -> 0 ->> 'Execution Time')::float);
        COMMIT;
    END LOOP;
END $$;
CREATE FUNCTION locks_held() RETURNS TABLE (held bigint) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM vouchers WHERE tenant_id = 't' AND project_id = 'p7' AND id = '3';
    RETURN QUERY SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'relation';
END $$;

-- A statement, timed and committed.
CREATE PROCEDURE step(variant text, step text, statement text) LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    EXECUTE statement;
    INSERT INTO steps VALUES (variant, step, extract(epoch FROM clock_timestamp() - began) * 1000);
END $$;
CREATE PROCEDURE load(project text) LANGUAGE plpgsql AS $$
DECLARE
    child regclass := (SELECT e.child FROM vm_project_entity e WHERE (e.tenant, e.project) = ('t', load.project));
BEGIN
    EXECUTE format($q$INSERT INTO %s (_id, _doc) SELECT i, format('{"tenant_id":"t","project_id":"%s","id":"%%s","deleted":%%s,"updated_at":{"$date":1600000000000}}',
        i, (i > 5)::text) FROM generate_series(1, 10) i$q$, child, project);
END $$;
-- Projects as far as their feed's start.
CREATE PROCEDURE prepare(first integer, last integer, variant text DEFAULT NULL) LANGUAGE plpgsql AS $$
DECLARE
    p text;
BEGIN
    FOR i IN first..last LOOP
        p := 'p' || i;
        PERFORM vm_add_project('t', p);
        PERFORM vm_record_step('t', p, 'source_check', 'clean');
        COMMIT;
        CALL step(coalesce(variant, CASE WHEN i <= 100 THEN '100 children' WHEN i > last - 100 THEN format('%s children', to_char(last, 'FM999,999')) END),
            'prepare', format('SELECT vm_prepare(''t'', %L)', p));
        COMMIT;
        CALL load(p);
        COMMIT;
    END LOOP;
END $$;
-- The rest of their steps.
CREATE PROCEDURE go(first integer, last integer, variant text) LANGUAGE plpgsql AS $$
DECLARE
    p text;
    child regclass;
    began timestamptz;
BEGIN
    FOR i IN first..last LOOP
        p := 'p' || i;
        child := (SELECT e.child FROM vm_project_entity e WHERE (e.tenant, e.project) = ('t', p));
        CALL step(variant, 'check', format('SELECT vm_check_project(''t'', %L)', p));
        COMMIT;
        began := clock_timestamp();
        CALL vm_move(child, filter => 'deleted', quiet => true);
        INSERT INTO steps VALUES (variant, 'move', extract(epoch FROM clock_timestamp() - began) * 1000);
        CALL step(variant, 'switch', format('SELECT vm_switch(''t'', %L, quiet_seconds => 0)', p));
        COMMIT;
        PERFORM vm_check_anomalies('t', p);
        COMMIT;
        began := clock_timestamp();
        CALL vm_move(child, quiet => true);
        INSERT INTO steps VALUES (variant, 'move', extract(epoch FROM clock_timestamp() - began) * 1000);
        PERFORM vm_record_step('t', p, 'feed_stop');
        COMMIT;
        CALL step(variant, 'finish', format('SELECT vm_finish(''t'', %L)', p));
        COMMIT;
    END LOOP;
END $$;
-- All of them through 20 children of a pool.
CREATE PROCEDURE pool(projects integer) LANGUAGE plpgsql AS $$
DECLARE
    base constant integer := 1000000;
    variant text;
BEGIN
    DELETE FROM vm_project_entity;
    DELETE FROM vm_project;
    PERFORM vm_register_parent('pooled', 'bench', 'voucher');
    PERFORM vm_create_pool('voucher', 20);
    COMMIT;
    FOR i IN 1..projects LOOP
        variant := CASE WHEN i <= 100 THEN 'a pool of 20: the first 100 projects' WHEN i > projects - 100 THEN format('a pool of 20: the last 100 of %s', to_char(projects, 'FM999,999')) ELSE '' END;
        CALL prepare(base + i, base + i, variant);
        CALL go(base + i, base + i, variant);
    END LOOP;
END $$;

CREATE FUNCTION report(rounds integer, projects integer) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
    RETURN NEXT format('A row by its primary key through the parent, which has two indexes; medians of %s.', rounds);
    RETURN NEXT '';
    RETURN NEXT '| children | planning | execution | planning, first in a session | locks |';
    RETURN NEXT '|---|---|---|---|---|';
    RETURN QUERY SELECT format('| %s | %s ms | %s ms | %s ms | %s |', to_char(p.children, 'FM999,999'),
            round((percentile_cont(0.5) WITHIN GROUP (ORDER BY planning) FILTER (WHERE variant = 'again'))::numeric, 1),
            round((percentile_cont(0.5) WITHIN GROUP (ORDER BY execution) FILTER (WHERE variant = 'again'))::numeric, 1),
            round((max(planning) FILTER (WHERE variant = 'first'))::numeric, 1), to_char(max(l.held), 'FM999,999'))
        FROM planned p JOIN locks l USING (children) GROUP BY p.children ORDER BY p.children;
    RETURN NEXT '';
    RETURN NEXT 'A project of one entity and 10 rows, milliseconds a step; the move in two parts. Medians of 50 projects or 100.';
    RETURN NEXT '';
    RETURN NEXT '| beside | prepare | check | switch | move | finish |';
    RETURN NEXT '|---|---|---|---|---|---|';
    RETURN QUERY SELECT format('| %s | %s | %s | %s | %s | %s |', variant, max(ms) FILTER (WHERE step = 'prepare'), max(ms) FILTER (WHERE step = 'check'),
            max(ms) FILTER (WHERE step = 'switch'), max(ms) FILTER (WHERE step = 'move'), max(ms) FILTER (WHERE step = 'finish'))
        FROM (SELECT variant, step, round((percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) * CASE step WHEN 'move' THEN 2 ELSE 1 END)::numeric, 1) AS ms
              FROM steps WHERE variant <> '' GROUP BY variant, step) s
        GROUP BY variant HAVING count(*) = 5 ORDER BY variant LIKE 'a pool%', variant LIKE '%last%', length(variant);
END $$;
