-- vm_distinct: what SELECT DISTINCT finds, by a loose scan.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'
\set SHOW_CONTEXT never

CREATE TABLE shop (id integer, tenant_id text, gone text, project_id text, category text);
ALTER TABLE shop DROP COLUMN gone;
CREATE INDEX shop_category ON shop (tenant_id, project_id, category);
INSERT INTO shop
SELECT i, CASE WHEN i % 10 = 0 THEN 'other' ELSE 'acme' END, 'p' || i % 2, CASE WHEN i % 7 <> 0 THEN 'c' || i % 5 END
FROM generate_series(1, 1000) i;
SELECT * FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
SELECT value FROM vm_distinct(filter => '{"project_id": "p1", "tenant_id": "nobody"}', relation => 'shop', column_name => 'category');
SELECT vm_distinct('shop', 'tenant_id');
SELECT count(*), count(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p0", "category": "c1"}');
SELECT count(*), count(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p0", "category": null}');
SELECT count(*) FROM vm_distinct('shop', 'project_id', '{"tenant_id": null}');
-- One index or none: the filter's columns first, in any order, then the column.
SELECT * FROM vm_distinct('shop', 'category', '{"tenant_id": "acme"}');
SELECT * FROM vm_distinct('shop', 'category');
SELECT * FROM vm_distinct('shop', 'project_id', '{"tenant_id": "acme", "category": "c1"}');

-- Few of 10000 rows are read.
CREATE TABLE counted (tenant_id text, category integer);
INSERT INTO counted SELECT 't' || i % 10, nullif(i / 10 % 6, 0) FROM generate_series(1, 10000) i;
CREATE INDEX counted_category ON counted (tenant_id, category);
-- What a query reads of table and index, by the server's own counters.
CREATE FUNCTION is_loose(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    before bigint := pg_stat_get_xact_tuples_returned('counted_category'::regclass) + pg_stat_get_xact_tuples_returned('counted'::regclass);
BEGIN
    EXECUTE query;
    RETURN pg_stat_get_xact_tuples_returned('counted_category'::regclass) + pg_stat_get_xact_tuples_returned('counted'::regclass)
        - before BETWEEN 6 AND 900;
END $$;
\set by_category 'SELECT is_loose($$SELECT * FROM vm_distinct(''counted'', ''category'', ''{"tenant_id": "t1"}'')$$);'
\set by_tenant 'SELECT is_loose($$SELECT * FROM vm_distinct(''counted'', ''tenant_id'')$$);'
:by_category
:by_tenant
SELECT is_loose($$SELECT * FROM vm_distinct('counted', 'category')$$);
-- Nor does an index lead anywhere that is partial, invalid, of another order or kind, or has an expression in between.
DROP INDEX counted_category;
CREATE INDEX counted_category ON counted (tenant_id, category) WHERE category > 0;
:by_category
DROP INDEX counted_category;
CREATE INDEX counted_category ON counted (tenant_id, abs(category), category);
:by_category
DROP INDEX counted_category;
CREATE INDEX counted_category ON counted (tenant_id text_pattern_ops, category);
:by_category
:by_tenant
DROP INDEX counted_category;
CREATE INDEX counted_category ON counted (tenant_id COLLATE "POSIX", category);
:by_tenant
DROP INDEX counted_category;
CREATE INDEX counted_category ON counted USING hash (tenant_id);
:by_tenant
DROP INDEX counted_category;
CREATE UNIQUE INDEX CONCURRENTLY counted_category ON counted (category);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'counted_category'::regclass;
SELECT is_loose($$SELECT * FROM vm_distinct('counted', 'category')$$);
DROP INDEX counted_category;
-- Columns that are only INCLUDEd have no order.
CREATE INDEX counted_category ON counted (tenant_id) INCLUDE (category);
:by_tenant
:by_category
DROP FUNCTION is_loose;
DROP TABLE counted;

-- Children have indexes of their own, or none; those without rows need none.
CREATE TABLE child_a () INHERITS (shop);
CREATE TABLE child_b (extra text, project_id text, category text, tenant_id text, id integer);
ALTER TABLE child_b DROP COLUMN extra, INHERIT shop;
CREATE TABLE grandchild () INHERITS (child_b);
CREATE INDEX ON child_b (project_id, tenant_id, category DESC NULLS LAST);
INSERT INTO child_b VALUES ('p1', 'b', 'acme', 1), ('p1', 'c1', 'acme', 2), ('p1', 'b', 'acme', 3), ('p1', 'no', 'other', 4);
SELECT * FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
INSERT INTO child_a SELECT i, 'acme', 'p1', 'a' FROM generate_series(1, 9) i;
INSERT INTO grandchild VALUES ('p1', 'z', 'acme', 1);
SELECT * FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
SELECT * FROM vm_distinct('child_b', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
CREATE INDEX ON child_a (tenant_id, project_id, category);
CREATE INDEX ON grandchild (tenant_id, project_id, category);
SELECT * FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');

-- Each snapshot sees its own rows: deleted, updated, rolled back, and those of the transaction itself.
BEGIN;
DELETE FROM shop WHERE category = 'c2';
SAVEPOINT s;
INSERT INTO child_a VALUES (1, 'acme', 'p1', 'never');
ROLLBACK TO s;
INSERT INTO child_a VALUES (1, 'acme', 'p1', 'now');
UPDATE child_a SET category = 'A' WHERE category = 'a';
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
DECLARE c CURSOR FOR SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
DELETE FROM shop;
FETCH c;
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
ROLLBACK;
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');

-- Against SELECT DISTINCT: random rows in three tables, of which some are deleted and some updated; types, and orders of the index.
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'never');
ALTER TYPE mood ADD VALUE 'first' BEFORE 'sad';
CREATE DOMAIN word AS text CHECK (VALUE <> 'forbidden');
CREATE DOMAIN short_word AS word CHECK (length(VALUE) < 4);
CREATE FUNCTION same_as_distinct(type text, value text, ordered text, seed double precision) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    part text;
    seen text := '';
    filter text;
    wanted text[];
    got text[];
BEGIN
    PERFORM setseed(seed);
    EXECUTE format('CREATE TABLE many (n integer, t varchar(10), v %s, b char(4))', type);
    CREATE TABLE many_1 () INHERITS (many);
    CREATE TABLE many_2 () INHERITS (many);
    FOREACH part IN ARRAY '{many,many_1,many_2}'::text[] LOOP
        EXECUTE format('INSERT INTO %I SELECT r, ''t'' || r %% 3, CASE WHEN r %% 11 > 0 THEN (%s)::%s END, CASE WHEN r %% 5 > 0 THEN ''b'' || r %% 2 END
            FROM (SELECT floor(random() * 1000)::integer AS r FROM generate_series(1, 600)) x', part, value, type);
        EXECUTE format('CREATE INDEX ON %I (v %s)', part, ordered);
        EXECUTE format('CREATE INDEX ON %I (t, v %s, n)', part, ordered);
        EXECUTE format('CREATE INDEX ON %I (b DESC, t, v %s)', part, ordered);
    END LOOP;
    DELETE FROM many WHERE random() < 0.3 OR v IN (SELECT v FROM many LIMIT 1);
    UPDATE many SET n = n + 1 WHERE random() < 0.1;
    FOREACH filter IN ARRAY ARRAY[NULL, '{"t": "t1"}', '{"b": "b1", "t": "t2"}', '{"b": null, "t": "t0"}', '{"t": "none"}'] LOOP
        EXECUTE format('SELECT array_agg(CASE WHEN v IS NOT NULL THEN format(''%%s'', v) END) FROM (SELECT DISTINCT v FROM many WHERE %s ORDER BY v) d',
            coalesce((SELECT string_agg(key || CASE WHEN x.value IS NULL THEN ' IS NULL' ELSE format(' = %L', x.value) END, ' AND ')
                      FROM jsonb_each_text(filter::jsonb) x), 'true')) INTO wanted;
        got := (SELECT array_agg(d.value ORDER BY d.ordinality) FROM vm_distinct('many', 'v', filter::jsonb) WITH ORDINALITY d);
        IF got IS DISTINCT FROM wanted THEN
            seen := seen || format(E'\n%s: %s in place of %s', filter, got, wanted);
        END IF;
        seen := seen || format('%s ', coalesce(cardinality(got), 0) > 0);
    END LOOP;
    DROP TABLE many CASCADE;
    RETURN seen;
END $$;
SET client_min_messages = warning;
SELECT type, ordered, same_as_distinct(type, value, ordered, 0.1) FROM (VALUES
    ('integer', 'r % 40'), ('bigint', '-r'), ('text', $$'v' || r % 40$$), ('text COLLATE "C"', $$chr(r % 40 + 200) || r % 2$$),
    ('varchar(20)', $$md5((r % 300)::text)$$), ('char(5)', $$r % 50$$), ('name', $$'n' || r % 60$$), ('boolean', 'r % 2 = 0'),
    ('numeric', 'r % 70 / 4.0'), ('float8', $$CASE WHEN r % 50 = 1 THEN 'NaN' ELSE (r % 50)::text END$$), ('uuid', $$md5((r % 30)::text)$$),
    ('timestamptz', $$'2020-01-01'::timestamptz + r % 50 * interval '1 hour'$$), ('date', $$'2020-01-01'::date + r % 90$$),
    ('mood', $$(enum_range('first'::mood, 'happy'))[r % 4 + 1]$$), ('short_word', $$'w' || r % 30$$), ('integer[]', 'ARRAY[r % 5, r % 3]'),
    ('jsonb', $$jsonb_build_object('k', r % 20)$$), ('bytea', $$decode(md5((r % 10)::text), 'hex')$$), ('int4range', 'int4range(r % 5, 10)')
    ) v (type, value), (VALUES ('ASC'), ('DESC'), ('NULLS FIRST'), ('DESC NULLS LAST')) o (ordered)
ORDER BY type, ordered;
-- And every collation there is of some.
SELECT DISTINCT same_as_distinct(format('text COLLATE %I', collname), $$(ARRAY['a', 'B', 'b', 'ä', 'A-b', 'ab', 'Ab', 'z'])[r % 8 + 1] || r % 10$$, '', 0.2)
FROM pg_collation WHERE collname IN ('C', 'POSIX', 'ucs_basic', 'unicode', 'und-x-icu', 'de-x-icu', 'sv-x-icu', 'en_US.utf8', 'C.utf8', 'pg_c_utf8')
  AND collencoding IN (-1, pg_char_to_encoding('UTF8'));
-- Without the index that sorts as the column does.
SELECT same_as_distinct('text', $$'v' || r % 40$$, 'text_pattern_ops', 0.3), same_as_distinct('text', $$'v' || r % 40$$, 'COLLATE "POSIX"', 0.3);
RESET client_min_messages;
-- Values that are equal and not the same are one.
CREATE TABLE equals (n numeric, c char(3));
CREATE INDEX ON equals (n);
INSERT INTO equals VALUES (1.0, 'a'), (1.00, 'a '), (2, 'b'), (1.000, 'a');
SELECT round(value::numeric) FROM vm_distinct('equals', 'n');
SELECT value FROM vm_distinct('equals', 'c', '{"n": 1}');
DROP TABLE equals;
-- So are those that a collation says are equal, where there are such collations.
DO $$
BEGIN
    CREATE COLLATION no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE cases (v text COLLATE no_case);
    CREATE INDEX ON cases (v);
    INSERT INTO cases VALUES ('b'), ('A'), ('a'), ('B'), (NULL), ('C');
    IF (SELECT array_agg(upper(value)) FROM vm_distinct('cases', 'v')) IS DISTINCT FROM '{A,B,C,NULL}' THEN
        RAISE WARNING '%', (SELECT array_agg(value) FROM vm_distinct('cases', 'v'));
    END IF;
    IF (SELECT count(*) FROM vm_distinct('cases', 'v', '{"v": "c"}')) <> 1 THEN
        RAISE WARNING 'the filter knows no collation';
    END IF;
    DROP TABLE cases;
    DROP COLLATION no_case;
EXCEPTION WHEN feature_not_supported OR undefined_object OR invalid_parameter_value THEN
    NULL;
END $$;
-- More values than work_mem holds, and every value in one row.
CREATE TABLE wide (v text);
CREATE INDEX ON wide (v);
INSERT INTO wide SELECT repeat(md5(i::text), 20) FROM generate_series(1, 3000) i;
SET work_mem = '64kB';
SELECT count(*), count(DISTINCT value), min(length(value)) FROM vm_distinct('wide', 'v');
RESET work_mem;
DROP TABLE wide;

-- Partitions, a materialized view, a temporary table; LATERAL.
CREATE TABLE parted (k integer, v text) PARTITION BY LIST (k);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE part_2 PARTITION OF parted FOR VALUES IN (2) PARTITION BY LIST (v);
CREATE TABLE part_2_x PARTITION OF part_2 DEFAULT;
INSERT INTO parted VALUES (1, 'a'), (1, 'b'), (2, 'b'), (2, NULL);
SELECT * FROM vm_distinct('parted', 'v', '{}');
CREATE INDEX ON parted (v);
SELECT * FROM vm_distinct('parted', 'v', NULL);
CREATE MATERIALIZED VIEW mat AS SELECT * FROM parted WITH NO DATA;
CREATE INDEX ON mat (k, v);
SELECT * FROM vm_distinct('mat', 'v', '{"k": 1}');
REFRESH MATERIALIZED VIEW mat;
SELECT k, array_agg(value) FROM generate_series(1, 2) k, vm_distinct('mat', 'v', jsonb_build_object('k', k)) GROUP BY k ORDER BY k;
CREATE TEMP TABLE temporary (v integer PRIMARY KEY);
INSERT INTO temporary VALUES (2), (1);
SELECT * FROM vm_distinct('temporary', 'v') LIMIT 1;
DROP TABLE parted, temporary CASCADE;

-- What is wrong, and where.
SELECT * FROM vm_distinct('shop', 'gone');
SELECT * FROM vm_distinct('shop', 'ctid');
SELECT * FROM vm_distinct('shop', 'category', '{"tenant": "acme"}');
SELECT * FROM vm_distinct('shop', 'category', '["acme"]');
SELECT * FROM vm_distinct('shop', 'category', '"acme"');
SELECT * FROM vm_distinct('shop', 'category', '{"id": "x"}');
SELECT * FROM vm_distinct('shop', 'category', '{"id": {"a": [1, true]}}');
SELECT * FROM vm_distinct(NULL, 'category');
SELECT * FROM vm_distinct('shop', NULL);
SELECT * FROM vm_distinct(0, 'category');
SELECT * FROM vm_distinct('shop_category', 'category');
SELECT * FROM vm_distinct('vm_progress', 'child');
CREATE TABLE odd (j json, p point, m mood, w word);
SELECT * FROM vm_distinct('odd', 'j');
SELECT * FROM vm_distinct('odd', 'm', '{"j": {}}');
SELECT * FROM vm_distinct('odd', 'm', '{"m": "bad"}');
SELECT * FROM vm_distinct('odd', 'm', '{"j": null, "w": "forbidden"}');
CREATE FUNCTION state_of(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN '00000';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END $$;
SELECT q, state_of('SELECT * FROM vm_distinct(' || q || ')') FROM unnest('{"''shop'', ''gone''", "''shop'', ''category'', ''{\"x\": 1}''",
    "''shop'', ''category'', ''1''", "''shop'', ''category'', ''{\"id\": \"x\"}''", "''vm_progress'', ''child''", "''odd'', ''j''", "''odd'', ''m'', ''{\"j\": 1}''",
    "0, ''a''"}'::text[]) q;
DROP TABLE odd;

-- Rights: what a SELECT would need, on the parent alone.
CREATE ROLE regress_vm_reader;
GRANT USAGE ON SCHEMA vm TO regress_vm_reader;
SET ROLE regress_vm_reader;
SELECT * FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
RESET ROLE;
GRANT SELECT (category, tenant_id) ON shop TO regress_vm_reader;
SET ROLE regress_vm_reader;
SELECT * FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
SELECT count(*) FROM vm_distinct('shop', 'tenant_id');
RESET ROLE;
GRANT SELECT (project_id) ON shop TO regress_vm_reader;
SET ROLE regress_vm_reader;
SELECT count(*) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
-- A child without an index, and without rights on it, is read through the parent.
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme"}');
SELECT * FROM vm_distinct('child_a', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
SELECT state_of($$SELECT * FROM vm_distinct('child_a', 'category')$$), state_of($$SELECT * FROM vm_distinct('shop', 'id')$$);
RESET ROLE;
CREATE SCHEMA locked;
CREATE TABLE locked.t (v integer PRIMARY KEY);
GRANT SELECT ON locked.t TO regress_vm_reader;
SELECT set_config('vm.locked', 'locked.t'::regclass::oid::text, false) IS NOT NULL AS kept;
SET ROLE regress_vm_reader;
SELECT * FROM vm_distinct(current_setting('vm.locked')::oid, 'v');
RESET ROLE;
DROP SCHEMA locked CASCADE;

-- Row security: the policies of the parent, and not of the child.
CREATE FUNCTION mine(text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN found_by_search_path($1); END $$;
CREATE FUNCTION found_by_search_path(text) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT $1 <> 'c1' $$;
CREATE POLICY few ON shop USING (mine(category));
ALTER TABLE shop ENABLE ROW LEVEL SECURITY;
CREATE POLICY none ON child_b USING (false);
ALTER TABLE child_b ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON child_b TO regress_vm_reader;
SET ROLE regress_vm_reader;
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
SELECT array_agg(value) FROM vm_distinct('child_b', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
SET row_security = off;
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
RESET row_security;
RESET ROLE;
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
ALTER TABLE shop DISABLE ROW LEVEL SECURITY;
-- Without an index the child would hide its rows from a SELECT of its own.
DROP INDEX child_b_project_id_tenant_id_category_idx;
SET ROLE regress_vm_reader;
SELECT array_agg(value) FROM vm_distinct('shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
RESET ROLE;

-- A hostile search_path changes nothing.
CREATE SCHEMA evil;
CREATE FUNCTION evil.op(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'called'; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE OPERATOR evil.< (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE OPERATOR evil.> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE TABLE evil.shop (tenant_id text, project_id text, category text);
CREATE DOMAIN evil.text AS integer;
SET search_path = evil, pg_catalog;
SELECT count(*) FROM vm.vm_distinct('vm.shop', 'category', '{"tenant_id": "acme", "project_id": "p1"}');
SELECT count(*) FROM vm.vm_distinct('vm.shop', 'category', '{"tenant_id": "acme"}');
SET search_path = vm, public;

-- Names that need quotes.
CREATE TABLE "Shop ""x""" ("Tenant ""x""" text, "Cat'egory" text);
INSERT INTO "Shop ""x""" VALUES ('a', 'b'), ('a', 'c'), ('d', 'e');
SELECT * FROM vm_distinct('"Shop ""x"""', 'Cat''egory', '{"Tenant \"x\"": "a"}');
CREATE INDEX ON "Shop ""x""" ("Tenant ""x""", "Cat'egory");
SELECT * FROM vm_distinct('"Shop ""x"""', 'Cat''egory', '{"Tenant \"x\"": "a"}');

SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
DROP TABLE shop, "Shop ""x""" CASCADE;
DROP FUNCTION same_as_distinct, state_of, mine, found_by_search_path;
DROP TYPE mood, short_word, word;
REVOKE ALL ON SCHEMA vm FROM regress_vm_reader;
DROP ROLE regress_vm_reader;
