-- A project's way from registration to the last drop.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_dba, regress_vm_loader, regress_vm_stranger;
RESET client_min_messages;
\pset null '<NULL>'
\set SHOW_CONTEXT never

CREATE SCHEMA "Prod.data";
CREATE TABLE "Prod.data".customers (id text PRIMARY KEY);
CREATE TABLE "Prod.data"."Vouchers" (
    tenant_id text NOT NULL, project_id text NOT NULL, id text, code text, "Gone away" boolean, deleted boolean, amount integer,
    customer_id text REFERENCES "Prod.data".customers, updated_at timestamptz, deleted_at timestamptz, PRIMARY KEY (tenant_id, project_id, id)
);
CREATE TABLE "Prod.data".campaigns (
    tenant_id text, project_id text, id text PRIMARY KEY, name text, deleted text, updated_at timestamptz, deleted_at timestamptz
);
SELECT vm_define_mapping('shop', '{"watermark": "updated_at", "on_error": "quarantine",
    "columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}}}');

--
-- Registering: what is not given
--
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop');
SELECT vm_register_parent('"Prod.data".campaigns', 'shop', entity => 'campaign', source_database => 'main');
SELECT entity, parent, mapping, move_order, closed, move_active, source_database, source_collection, registered_by = current_user AS by_me FROM vm_parent ORDER BY move_order \gx
-- Again, with other settings: its place stays.
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => '"Gone away" OR deleted_at < now() - interval ''1 year'' -- long ago',
    move_active => 'before_switch', source_collection => '{tenant}.{project}.vouchers');
SELECT entity, move_order, closed, move_active, source_collection FROM vm_parent ORDER BY move_order;
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => ' FALSE ', move_order => 7);
SELECT entity, move_order, closed, move_active, source_collection FROM vm_parent ORDER BY move_order;

-- Refused.
CREATE VIEW viewed AS SELECT 1 AS id;
SELECT vm_register_parent('viewed', 'shop');
SELECT vm_register_parent('"Prod.data".customers', 'nothing');
SELECT vm_register_parent('"Prod.data".customers', 'shop');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => 'nothing = 1');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => 'amount');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => 'true) OR (false');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => '');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => 'bool_and(deleted)');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => '_doc IS NULL');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => '"Vouchers".deleted');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', closed => 'vm_jsonb = ''null''');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', move_active => 'never');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', move_active => NULL);
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop', source_collection => '');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', '');
SELECT vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'again');
SELECT vm_register_parent(NULL, 'shop');
SELECT vm_unregister_parent('nothing');
CREATE TEMP TABLE passing (id text);
SELECT vm_register_parent('passing', 'nothing');
DROP TABLE passing;
DROP VIEW viewed;
SELECT entity, move_order, closed, move_active, source_collection FROM vm_parent ORDER BY move_order;

--
-- Projects: one, many, by COPY
--
SELECT vm_add_project('acme', 'P1');
SELECT vm_add_project('acme', 'P1');
SELECT vm_add_project('acme', '');
SELECT vm_add_project(NULL, 'P1');
CREATE TABLE source_list (n serial, tenant text, project varchar(20));
INSERT INTO source_list (tenant, project) SELECT 'many', 'P' || i FROM generate_series(1, 2500) i;
SELECT vm_add_projects('SELECT tenant, project FROM source_list ORDER BY n');
INSERT INTO source_list (tenant, project) VALUES ('many', 'new'), ('many', 'new'), ('"a"', E'tab\there');
SELECT vm_add_projects('SELECT tenant, project FROM source_list ORDER BY n; -- a comment');
SELECT count(*) FROM vm_project;
INSERT INTO source_list (tenant, project) VALUES ('many', 'newer'), ('lost', NULL);
SELECT vm_add_projects('SELECT tenant, project FROM source_list ORDER BY n');
SELECT vm_add_projects('SELECT ''''::text, project FROM source_list ORDER BY n');
SELECT vm_add_projects('SELECT NULL::text, NULL::text');
SELECT vm_add_projects('SELECT project, tenant FROM source_list');
SELECT vm_add_projects('SELECT n, tenant FROM source_list');
SELECT vm_add_projects('SELECT * FROM source_list');
SELECT vm_add_projects('SELECT FROM source_list');
SELECT vm_add_projects('SELECT tenant, project FROM');
SELECT vm_add_projects('DELETE FROM source_list RETURNING tenant, project');
SELECT vm_add_projects('WITH gone AS (DELETE FROM source_list RETURNING tenant, project) SELECT * FROM gone');
SELECT vm_add_projects('DROP TABLE source_list');
SELECT vm_add_projects('SELECT ''a''::text, ''b''::text; SELECT ''a''::text, ''b''::text');
CREATE FUNCTION writes() RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM source_list; RETURN 'x'; END $$;
SELECT vm_add_projects('SELECT ''many''::text, writes()');
SELECT vm_add_projects(NULL);
-- Nothing of it is left, and the session may write on.
SELECT count(*) FROM vm_project WHERE project = 'newer';
DELETE FROM source_list WHERE tenant = 'lost';
SELECT vm_add_projects('SELECT tenant, project FROM source_list WHERE tenant = ''none''');
DELETE FROM vm_project WHERE tenant = 'many';
DROP TABLE source_list;
DROP FUNCTION writes();

--
-- Prepare
--
SELECT * FROM vm_prepare('acme', 'P0');
SELECT * FROM vm_prepare('acme', NULL);
SELECT * FROM vm_prepare('acme', 'P1');
SELECT * FROM vm_prepare('acme', 'P1');
SELECT tenant, project, entity, child, pooled, prepare_at IS NOT NULL AS prepared, num_nonnulls(source_check_at, feed_start_at, check_at) AS others
FROM vm_project_entity ORDER BY entity;
SELECT entity, step, passed, found, done_by = current_user AS by_me FROM vm_history ORDER BY history_id;
SELECT t.tgrelid::regclass AS child, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN vm_project_entity e ON e.child = t.tgrelid WHERE NOT t.tgisinternal ORDER BY 1;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM vm_prepare('acme', 'P1');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM vm_prepare('acme', 'P1');
ROLLBACK;

-- A child that was made by hand is taken; a table that is none is not.
SELECT vm_add_project('acme', 'P2');
SELECT vm_create_child('"Prod.data".campaigns', 'shop', 'acme', 'P2');
INSERT INTO "Prod.data"."campaigns_acme_P2" (_id, _doc) VALUES ('1', '{"id": "early"}');
CREATE TABLE "Prod.data"."Vouchers_acme_P2" (_doc text);
SELECT * FROM vm_prepare('acme', 'P2');
DROP TABLE "Prod.data"."Vouchers_acme_P2";
SELECT vm_define_mapping('plain', '{}');
SELECT vm_create_child('"Prod.data"."Vouchers"', 'plain', 'acme', 'P2');
SELECT * FROM vm_prepare('acme', 'P2');
DROP TABLE "Prod.data"."Vouchers_acme_P2";
SELECT vm_create_child('"Prod.data"."Vouchers"', 'shop', 'acme', 'P2');
ALTER TABLE "Prod.data"."Vouchers_acme_P2" DISABLE TRIGGER vm_transform;
SELECT * FROM vm_prepare('acme', 'P2');
DROP TABLE "Prod.data"."Vouchers_acme_P2";
SELECT * FROM vm_prepare('acme', 'P2');
SELECT id FROM "Prod.data".campaigns;
SELECT entity, found FROM vm_history WHERE project = 'P2' ORDER BY history_id;

-- Two projects whose names run together to the same.
SELECT vm_add_project('acme', 'a_b'), vm_add_project('acme_a', 'b'), vm_add_project('acme' || repeat('_long', 20), 'b'), vm_add_project('acme' || repeat('_long', 19), 'long_b');
SELECT child, tenant, project FROM vm_project, vm_prepare(tenant, project) WHERE tenant <> 'acme' OR project = 'a_b' ORDER BY 1, 2, 3;
SELECT child FROM vm_prepare('acme', 'a_b');
DELETE FROM vm_project_entity WHERE project <> 'P1' AND project <> 'P2';
SELECT child FROM vm_prepare('acme_a', 'b');
DELETE FROM vm_project_entity WHERE project <> 'P1' AND project <> 'P2';
DELETE FROM vm_project WHERE project <> 'P1' AND project <> 'P2';

-- A child that was dropped by hand: another one is made, and what was done with the first does not count.
UPDATE vm_project_entity SET feed_start_at = now(), check_at = now(), switch_at = now() WHERE project = 'P2' AND entity = 'shop';
DROP TABLE "Prod.data"."Vouchers_acme_P2";
SELECT * FROM vm_prepare('acme', 'P2');
SELECT entity, child, num_nonnulls(prepare_at, switch_at) AS done, num_nulls(feed_start_at, check_at) AS undone FROM vm_project_entity WHERE project = 'P2' ORDER BY entity;
SELECT entity, step, found, override_reason FROM vm_history WHERE project = 'P2' ORDER BY history_id OFFSET 2;
INSERT INTO "Prod.data"."Vouchers_acme_P2" (_id, _doc) VALUES ('1', '{"id": "again"}');
DELETE FROM "Prod.data"."Vouchers_acme_P2";

-- What was registered stays while projects have children of it.
SELECT vm_register_parent('"Prod.data".customers', 'plain', 'shop');
SELECT vm_unregister_parent('shop');

-- A parent that is gone.
CREATE TABLE lost (id text, updated_at timestamptz);
SELECT vm_register_parent('lost', 'plain', 'lost', closed => 'false');
DROP TABLE lost;
SELECT vm_add_project('acme', 'P3');
SELECT * FROM vm_prepare('acme', 'P3');
SELECT count(*) FROM vm_project_entity WHERE project = 'P3';
SELECT vm_unregister_parent('lost');

--
-- Finish: the steps, then what is left
--
CREATE FUNCTION done(p text, VARIADIC steps text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE (SELECT format('UPDATE vm_project_entity SET %s WHERE project = %L', string_agg(format('%I = now()', s || '_at'), ', '), p) FROM unnest(steps) s);
END $$;
SELECT * FROM vm_finish('acme', 'P0');
SELECT * FROM vm_finish('acme', 'P2');
SELECT done('P2', 'switch');
SELECT * FROM vm_finish('acme', 'P2');
SELECT done('P2', 'feed_start', 'feed_stop');
INSERT INTO "Prod.data"."Vouchers_acme_P2" (_id, _doc) VALUES ('1', '{"id": "a", "updated_at": 2000}'), ('2', '{"id": "b", "amount": "x"}'), ('3', NULL);
UPDATE "Prod.data"."Vouchers_acme_P2" SET _doc = '{"id": "a", "updated_at": 1000}' WHERE _id = '1';
SELECT * FROM vm_finish('acme', 'P2');
SELECT * FROM vm_move_batch('"Prod.data"."campaigns_acme_P2"');
SELECT * FROM vm_finish('acme', 'P2');
SELECT moved FROM vm_move_batch('"Prod.data"."Vouchers_acme_P2"');
SELECT * FROM vm_finish('acme', 'P2');
DELETE FROM "Prod.data"."Vouchers_acme_P2";
SELECT * FROM vm_finish('acme', 'P2');
SELECT FROM vm_quarantine q, vm_settle_quarantine(q.quarantine_id, 'gone at the source') WHERE q._id = '2' AND q.settled_at IS NULL;
SELECT * FROM vm_finish('acme', 'P2');
SELECT FROM vm_anomaly a, vm_resolve_anomaly(a.anomaly_id, 'as it should be') WHERE a._id = '1';
-- A paused move, a place, a feed: all of it goes with the child. A view that uses it keeps it.
SELECT vm_pause_move('"Prod.data"."Vouchers_acme_P2"');
INSERT INTO vm_feed_seen VALUES ('"Prod.data"."Vouchers_acme_P2"', 1, now()), ('"Prod.data"."Vouchers_acme_P1"', 1, now());
CREATE VIEW watching AS SELECT * FROM "Prod.data"."Vouchers_acme_P2";
SELECT * FROM vm_finish('acme', 'P2');
SELECT count(*) FROM vm_project_entity WHERE project = 'P2' AND child IS NOT NULL;
SELECT paused_by IS NOT NULL AS paused FROM vm_move_control;
DROP VIEW watching;
-- Policies hide no row from it.
INSERT INTO "Prod.data"."Vouchers_acme_P2" (_id, _doc) VALUES ('9', '{"id": "hidden"}');
ALTER TABLE "Prod.data"."Vouchers_acme_P2" ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE ROLE regress_vm_dba;
GRANT USAGE ON SCHEMA vm, "Prod.data" TO regress_vm_dba;
GRANT EXECUTE ON FUNCTION vm_finish(text, text) TO regress_vm_dba;
ALTER TABLE "Prod.data"."Vouchers_acme_P2" OWNER TO regress_vm_dba;
SET ROLE regress_vm_dba;
SELECT * FROM vm_finish('acme', 'P2');
RESET ROLE;
ALTER TABLE "Prod.data"."campaigns_acme_P2" OWNER TO regress_vm_dba;
SET ROLE regress_vm_dba;
SELECT count(*) FROM "Prod.data"."Vouchers_acme_P2";
SELECT * FROM vm_finish('acme', 'P2');
RESET ROLE;
ALTER TABLE "Prod.data"."Vouchers_acme_P2" OWNER TO CURRENT_USER;
DELETE FROM "Prod.data"."Vouchers_acme_P2" WHERE true;
ALTER TABLE "Prod.data"."campaigns_acme_P2" OWNER TO CURRENT_USER;
-- Rows that this transaction has deleted are rows that others see.
BEGIN;
INSERT INTO "Prod.data"."Vouchers_acme_P2" (_id, _doc) VALUES ('9', '{"id": "mine"}');
DELETE FROM "Prod.data"."Vouchers_acme_P2";
SELECT * FROM vm_finish('acme', 'P2');
ROLLBACK;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM vm_finish('acme', 'P2');
ROLLBACK;
SELECT * FROM vm_finish('acme', 'P2');
SELECT * FROM vm_finish('acme', 'P2');
SELECT * FROM vm_prepare('acme', 'P2');
SELECT entity, child, pooled, finish_at IS NOT NULL AS finished FROM vm_project_entity WHERE project = 'P2' ORDER BY entity;
SELECT entity, step, regexp_replace(found, '\d{4,}', 'N') AS found FROM vm_history WHERE project = 'P2' AND step = 'finish' ORDER BY history_id;
SELECT count(*) FROM pg_class WHERE relname LIKE '%P2';
SELECT (SELECT count(*) FROM vm_feed_seen) AS feeds, (SELECT count(*) FROM vm_move_control) AS controls, (SELECT count(*) FROM vm_move_place) AS places,
    (SELECT count(*) FROM vm_anomaly) AS anomalies, (SELECT count(*) FROM vm_quarantine) AS quarantined, (SELECT count(*) > 0 FROM vm_move_batches) AS batches;
-- What is left of a child's name is its number, and it can be written and read back.
SELECT child::text ~ '^\d+$' AS number, regclassin(textout(child::text)) = child AS same FROM vm_anomaly;

-- A child that was dropped by hand does not keep a project from its end, once its cases are closed.
SELECT done('P1', 'switch', 'feed_stop');
DROP TABLE "Prod.data"."campaigns_acme_P1";
SELECT entity, regexp_replace(child, '^\d+$', 'N') AS child, found FROM vm_finish('acme', 'P1');

--
-- Unregistering
--
INSERT INTO vm_project_entity (tenant, project, entity, source_check_at, prepare_at) VALUES ('acme', 'P3', 'campaign', now(), now());
SELECT vm_unregister_parent('campaign');
DELETE FROM vm_project_entity WHERE project = 'P3';
SELECT vm_unregister_parent('campaign');
SELECT entity FROM vm_parent;
SELECT entity, project FROM vm_project_entity;
SELECT count(*) > 0 AS remembered FROM vm_history WHERE entity = 'campaign';
SELECT vm_unregister_parent('shop');

--
-- A hostile search_path changes nothing
--
CREATE SCHEMA evil;
CREATE FUNCTION evil.op(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil operator''; END';
CREATE FUNCTION evil.op(oid, oid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil operator''; END';
CREATE FUNCTION evil.op(regclass, regclass) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil operator''; END';
CREATE FUNCTION evil.op(regclass, oid) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil operator''; END';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE OPERATOR evil.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = evil.op);
CREATE OPERATOR evil.= (LEFTARG = regclass, RIGHTARG = regclass, FUNCTION = evil.op);
CREATE OPERATOR evil.= (LEFTARG = regclass, RIGHTARG = oid, FUNCTION = evil.op);
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil function''; END';
CREATE FUNCTION evil.unnest(text[], text[]) RETURNS SETOF text LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''evil function''; END';
CREATE TABLE evil.pg_class (oid oid);
CREATE TABLE evil.pg_inherits (inhrelid oid, inhparent oid);
CREATE TABLE evil.pg_constraint (conrelid oid, confrelid oid, contype "char");
CREATE TABLE evil.vm_pool (child regclass, entity text);
CREATE TABLE evil.vm_project_entity (child regclass, tenant text, project text);
CREATE DOMAIN evil.text AS integer;
SET search_path = evil, pg_temp, pg_catalog;
SELECT vm.vm_register_parent('"Prod.data".campaigns', 'shop', 'campaign', closed => 'name = ''gone'' AND deleted_at < now()');
SELECT vm.vm_register_parent('"Prod.data"."Vouchers"', 'shop', 'shop');
SELECT vm.vm_add_project('acme', 'evil'), vm.vm_add_projects('SELECT ''acme''::varchar, ''evil2''::varchar');
SELECT vm.vm_create_pool('shop', 1);
SELECT * FROM vm.vm_prepare('acme', 'evil');
INSERT INTO "Prod.data"."Vouchers_pool_1" (_id, _doc) VALUES ('1', '{"id": "a"}');
TRUNCATE "Prod.data"."Vouchers_pool_1";
UPDATE vm.vm_project_entity SET feed_start_at = pg_catalog.now(), switch_at = pg_catalog.now(), feed_stop_at = pg_catalog.now();
SELECT * FROM vm.vm_finish('acme', 'evil');
SELECT vm.vm_drop_pool('shop'), vm.vm_unregister_parent('shop'), vm.vm_unregister_parent('campaign');
SET search_path = vm, public;
SET client_min_messages = warning;
DROP SCHEMA evil CASCADE;
RESET client_min_messages;

--
-- A partitioned parent: the child stands alone
--
CREATE TABLE split (id text PRIMARY KEY, deleted boolean, updated_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE split_1 PARTITION OF split FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT vm_register_parent('split_1', 'plain');
SELECT vm_register_parent('split', 'plain', 'Split "entity"');
SELECT * FROM vm_prepare('acme', 'P3');
SELECT * FROM vm_child;
DELETE FROM vm_project_entity;
SELECT * FROM vm_prepare('acme', 'P3');
SELECT vm_register_parent('"split_acme_P3"', 'plain');
SELECT * FROM vm_finish('acme', 'P3');
SELECT done('P3', 'switch', 'feed_stop');
SELECT * FROM vm_finish('acme', 'P3');
SELECT * FROM vm_child;
SELECT vm_unregister_parent('Split "entity"');
DROP TABLE split;

--
-- Who owns the parent and may call the functions needs nothing else
--
CREATE ROLE regress_vm_loader;
CREATE ROLE regress_vm_stranger;
GRANT USAGE ON SCHEMA vm TO regress_vm_loader, regress_vm_stranger;
GRANT INSERT ON vm_project TO regress_vm_loader;
GRANT EXECUTE ON FUNCTION vm_register_parent(regclass, text, text, text, integer, text, text, text), vm_unregister_parent(text), vm_add_project(text, text),
    vm_add_projects(text), vm_prepare(text, text), vm_finish(text, text), vm_create_pool(text, integer), vm_drop_pool(text), vm_transform() TO regress_vm_dba, regress_vm_stranger;
CREATE SCHEMA own AUTHORIZATION regress_vm_dba;
GRANT USAGE ON SCHEMA own TO regress_vm_stranger;
SET ROLE regress_vm_loader;
COPY vm_project (tenant, project) FROM stdin;
T1	Project's "one"
T1	P2
\.
RESET ROLE;
SELECT project, added_by FROM vm_project WHERE tenant = 'T1' ORDER BY project;
SET ROLE regress_vm_dba;
CREATE TABLE own.shop (id text PRIMARY KEY, amount integer, deleted boolean, updated_at timestamptz);
CREATE TABLE own.projects (tenant text, project text);
INSERT INTO own.projects VALUES ('T2', 'P1');
SELECT vm_register_parent('own.shop', 'plain', 'shop');
SET search_path = own, vm;
SELECT vm_add_projects('TABLE projects');
SET search_path = vm, public;
SELECT vm_add_project('T2', 'P2');
SELECT * FROM vm_prepare('T1', 'Project''s "one"');
SELECT * FROM vm_prepare('T2', 'P1');
RESET ROLE;
SELECT tenant, project, added_by FROM vm_project WHERE tenant LIKE 'T_' ORDER BY 1, 2;
SELECT tenant, project, step, done_by FROM vm_history WHERE tenant LIKE 'T_' ORDER BY history_id;
SELECT entity, registered_by FROM vm_parent;
SELECT done('Project''s "one"', 'switch', 'feed_stop'), done('P1', 'switch', 'feed_stop');
-- Another does not.
SET ROLE regress_vm_stranger;
SELECT vm_register_parent('own.shop', 'plain', 'shop', closed => 'true');
SELECT vm_unregister_parent('shop');
SELECT * FROM vm_prepare('T2', 'P2');
SELECT * FROM vm_finish('T2', 'P1');
SELECT vm_create_pool('shop', 1);
SELECT vm_add_projects('TABLE own.projects');
SELECT vm_add_projects('SELECT tenant, project FROM vm.vm_project');
SET ROLE regress_vm_dba;
SELECT * FROM vm_finish('T1', 'Project''s "one"');
SELECT * FROM vm_finish('T2', 'P1');
SELECT vm_unregister_parent('shop');
RESET ROLE;

SET client_min_messages = warning;
DROP TABLE own.shop, own.projects;
DROP SCHEMA own;
DROP SCHEMA "Prod.data" CASCADE;
DROP FUNCTION done(text, text[]);
DROP OWNED BY regress_vm_dba, regress_vm_loader, regress_vm_stranger;
DROP ROLE regress_vm_dba, regress_vm_loader, regress_vm_stranger;
DELETE FROM vm_project_entity;
DELETE FROM vm_project;
DELETE FROM vm_history;
DELETE FROM vm_feed_seen;
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;
DELETE FROM vm_move_batches;
DELETE FROM vm_mapping WHERE NOT shipped;
