SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'

CREATE SCHEMA "Prod.data";
CREATE EXTENSION btree_gist SCHEMA public;
CREATE TABLE "Prod.data".customers (id text PRIMARY KEY);
INSERT INTO "Prod.data".customers VALUES ('cust_1');
CREATE TABLE "Prod.data"."Vouchers" (
    tenant_id text NOT NULL,
    project_id text NOT NULL,
    id text NOT NULL,
    "Code" text,
    gone integer,
    customer_id text REFERENCES "Prod.data".customers,
    amount integer NOT NULL DEFAULT 0 CHECK (amount >= 0),
    during tstzrange,
    info jsonb,
    size integer GENERATED ALWAYS AS (amount * 2) STORED,
    updated_at timestamptz,
    PRIMARY KEY (tenant_id, project_id, id),
    CONSTRAINT "one Code" UNIQUE (project_id, "Code"),
    EXCLUDE USING gist (id WITH =, during WITH &&)
);
ALTER TABLE "Prod.data"."Vouchers" DROP COLUMN gone;
CREATE INDEX "by @time" ON "Prod.data"."Vouchers" (updated_at DESC NULLS LAST) INCLUDE (amount);
CREATE INDEX ON "Prod.data"."Vouchers" (lower("Code")) WHERE amount > 0;
CREATE UNIQUE INDEX ON "Prod.data"."Vouchers" (id text_pattern_ops, (info ->> 'a@b')) WHERE "Code" IS NOT NULL;
CREATE INDEX ON "Prod.data"."Vouchers" USING gin (info jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX ON "Prod.data"."Vouchers" USING brin (updated_at);

SELECT vm_define_mapping('shop', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}},
    "customer_id": {"from": "customer"}, "amount": {"default": 0}}, "watermark": "updated_at"}');
SELECT vm_create_child('"Prod.data"."Vouchers"', 'shop', 'Tenant''s "A"', 'proj.1') AS child \gset
SELECT :'child';

-- Columns, in the parent's order; what may be NULL before the document comes.
SELECT attname, format_type(atttypid, atttypmod) AS type, attgenerated, attinhcount > 0 AS inherited
FROM pg_attribute WHERE attrelid = :'child'::regclass AND attnum > 0 ORDER BY attnum;
-- Everything of the parent's but for the names.
CREATE FUNCTION indexes(t regclass) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT regexp_replace(replace(pg_get_indexdef(indexrelid), t::text, 'T'), 'INDEX (".*"|\S+) ON', 'INDEX ON')
    FROM pg_index WHERE indrelid = t
$$;
SELECT * FROM indexes('"Prod.data"."Vouchers"') EXCEPT SELECT * FROM indexes(:'child');
SELECT * FROM indexes(:'child') EXCEPT SELECT * FROM indexes('"Prod.data"."Vouchers"');
SELECT count(*) FROM indexes(:'child');
SELECT contype, pg_get_constraintdef(oid), coninhcount > 0 AS inherited FROM pg_constraint
WHERE conrelid = :'child'::regclass AND contype IN ('u', 'x', 'f') ORDER BY contype, conname;
SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE tgrelid = :'child'::regclass AND NOT tgisinternal;
SELECT obj_description(:'child'::regclass, 'pg_class');
SELECT reloptions, relpersistence FROM pg_class WHERE oid = :'child'::regclass;
SELECT * FROM vm_explain_mapping('shop', :'child');

-- The first half of a document has nothing in its columns, the second fills them; also as a replica's apply does it.
SET session_replication_role = replica;
INSERT INTO :child (_id) VALUES ('1'), ('2');
RESET session_replication_role;
INSERT INTO :child (_id, _doc) VALUES ('3', NULL);
SELECT _id, tenant_id, id, amount FROM :child ORDER BY _id;
UPDATE :child SET _doc = '{"id": "v_1", "Code": "a", "customer": "cust_1", "amount": 5, "updated_at": 1575648464123}' WHERE _id = '1';
UPDATE :child SET _doc = '{"Code": "b"}' WHERE _id = '2';
SELECT _id, tenant_id, project_id, id, "Code", customer_id, amount, size, updated_at FROM :child ORDER BY _id;
-- Once it is there its row keeps what the parent wants.
DO $$
BEGIN
    UPDATE "Prod.data"."Vouchers" SET id = NULL WHERE id = 'v_1';
EXCEPTION WHEN check_violation OR not_null_violation THEN
    RAISE INFO 'refused';
END $$;
-- The application sees it through the parent, and the trigger leaves its change alone.
UPDATE "Prod.data"."Vouchers" SET amount = 9 WHERE id = 'v_1';
SELECT tableoid::regclass, id, amount FROM "Prod.data"."Vouchers" WHERE id IS NOT NULL;
-- Keys, foreign keys, exclusions and checks hold in the child.
\set VERBOSITY sqlstate
INSERT INTO :child (_id, _doc) VALUES ('4', '{"id": "v_1"}');
INSERT INTO :child (_id, _doc) VALUES ('4', '{"id": "v_2", "Code": "a"}');
INSERT INTO :child (_id, _doc) VALUES ('4', '{"id": "v_2", "customer": "cust_2"}');
INSERT INTO :child (_id, _doc) VALUES ('4', '{"id": "v_2", "amount": -1}');
INSERT INTO :child (_id, _doc) VALUES ('1', '{"id": "v_2"}');
INSERT INTO :child (_id, _doc) VALUES ('4', '{"id": "v_2", "during": "[2020-01-01,2020-02-01)"}'), ('5', '{"id": "v_2", "tenant_id": "t", "during": "[2020-01-15,2020-02-15)"}');
\set VERBOSITY default

--
-- Names
--
CREATE TABLE parent (id text PRIMARY KEY, updated_at timestamptz);
SELECT vm_define_mapping('plain', '{"watermark": "updated_at"}');
SELECT vm_create_child('parent', 'plain', 'T', 'P');
SELECT vm_create_child('parent', 'plain', 'T', 'P');
SELECT vm_create_child('parent', 'plain', 'T', 'P', 'my "own" name');
SELECT vm_create_child('parent', 'plain', '', '');
SELECT vm_create_child('parent', 'plain', repeat('long_tenant_', 20), 'P') AS a, vm_create_child('parent', 'plain', repeat('long_tenant_', 20), 'Q') AS b;
SELECT c::text, octet_length(trim('"' FROM c::text)) FROM vm_create_child('parent', 'plain', repeat('ż', 100), 'ó') c;
SELECT vm_create_child('parent', 'plain', 'a.b; DROP TABLE parent; --', E'new\nline');
INSERT INTO "parent_a.b; DROP TABLE parent; --_new
line" (_id, _doc) VALUES ('1', '{"id": "1"}');
SELECT tableoid::regclass, * FROM parent;

--
-- Storage: documents of up to a page stay in the row
--
INSERT INTO "parent_T_P" (_id, _doc) SELECT '1', '{"id": "1", "filler": "' || string_agg(md5(i::text), '') || '"}' FROM generate_series(1, 150) i;
SELECT pg_relation_size(reltoastrelid) AS toasted FROM pg_class WHERE oid = '"parent_T_P"'::regclass;
INSERT INTO "parent_T_P" (_id, _doc) SELECT '2', '{"id": "2", "filler": "' || string_agg(md5(i::text), '') || '"}' FROM generate_series(1, 1000) i;
SELECT pg_relation_size(reltoastrelid) > 0 AS toasted FROM pg_class WHERE oid = '"parent_T_P"'::regclass;

--
-- Identity in the parent
--
CREATE TABLE counted (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, updated_at timestamptz);
SELECT vm_create_child('counted', 'plain', 'T', 'P');
INSERT INTO "counted_T_P" (_id, _doc) VALUES ('1', '{"n": 5, "id": "a"}'), ('2', '{"id": "b"}');
SELECT n, id FROM "counted_T_P" ORDER BY id;
SELECT column_name, conversion FROM vm_explain_mapping('plain', '"counted_T_P"');

--
-- Refused, and nothing is left behind
--
CREATE TABLE partitioned (id text) PARTITION BY LIST (id);
CREATE TABLE partition PARTITION OF partitioned DEFAULT;
CREATE VIEW viewed AS SELECT * FROM parent;
SELECT vm_create_child('partition', 'plain', 'T', 'P');
SELECT vm_create_child('viewed', 'plain', 'T', 'P');
SELECT vm_create_child('parent', 'nothing', 'T', 'Q');
SELECT vm_create_child('customers', 'plain', 'T', 'Q');
SELECT vm_create_child('"Prod.data".customers', 'plain', 'T', 'Q');
SELECT vm_create_child('parent', 'plain', NULL, 'Q');
SELECT vm_create_child(NULL, 'plain', 'T', 'Q');
SELECT c.oid::regclass FROM pg_class c WHERE c.relname LIKE '%\_Q' AND c.relname NOT LIKE '%long%';
CREATE TABLE named (_id integer, _doc bytea, updated_at timestamptz);
\set VERBOSITY terse
SELECT vm_create_child('named', 'plain', 'T', 'P');
\set VERBOSITY default

DROP TABLE partitioned, counted, named CASCADE;
DROP VIEW viewed;
SET client_min_messages = warning;
DROP TABLE parent CASCADE;
DROP SCHEMA "Prod.data" CASCADE;
DROP EXTENSION btree_gist;
DROP FUNCTION indexes(regclass);
DELETE FROM vm_mapping WHERE NOT shipped;
DELETE FROM vm_anomaly;
