-- Children made once, each serving one project after another.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_dba, regress_vm_feed;
RESET client_min_messages;
\pset null '<NULL>'
\set SHOW_CONTEXT never

CREATE ROLE regress_vm_dba;
CREATE ROLE regress_vm_feed;
GRANT USAGE ON SCHEMA vm TO regress_vm_dba;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vm TO regress_vm_dba;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA vm TO regress_vm_dba;
CREATE SCHEMA "Pool""s" AUTHORIZATION regress_vm_dba;
GRANT USAGE ON SCHEMA "Pool""s" TO regress_vm_feed;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_vm_dba IN SCHEMA "Pool""s" GRANT SELECT, INSERT, UPDATE ON TABLES TO regress_vm_feed;
SET ROLE regress_vm_dba;
CREATE TABLE "Pool""s".shop (tenant text, project text, id text, amount integer, deleted boolean, updated_at timestamptz, PRIMARY KEY (tenant, project, id));
SELECT vm_define_mapping('pooled', '{"watermark": "updated_at", "columns": {"tenant": {"default": {"arg": 1}}, "project": {"default": {"arg": 2}}}}');
SELECT vm_register_parent('"Pool""s".shop', 'pooled', 'shop');
SELECT vm_create_pool('shop', 0);
SELECT vm_create_pool('shop', NULL);
SELECT vm_create_pool('nothing', 1);
SELECT vm_create_pool('shop', 2);
-- The numbers go on, past a table that is none of the pool's.
CREATE TABLE "Pool""s".shop_pool_4 (n integer);
SELECT vm_create_pool('shop', 2);
RESET ROLE;
SELECT * FROM vm_pool ORDER BY child;
SELECT pg_get_triggerdef(oid), obj_description(tgrelid, 'pg_class') FROM pg_trigger WHERE tgrelid = '"Pool""s".shop_pool_1'::regclass AND NOT tgisinternal;
DROP TABLE "Pool""s".shop_pool_4;

-- A child that serves nobody takes no document, and no half of one, whatever the mapping says of bad ones.
SET ROLE regress_vm_feed;
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
INSERT INTO "Pool""s".shop_pool_1 (_id) VALUES ('1');
RESET ROLE;
SELECT vm_define_mapping('pooled', rules || '{"on_error": "quarantine"}') FROM vm_mapping WHERE mapping = 'pooled';
SET ROLE regress_vm_feed;
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
RESET ROLE;
SELECT count(*) FROM vm_quarantine;

-- Given to projects, in the order they were made; no DDL. The session's plans know at once.
SELECT vm_add_projects('SELECT ''T''::text, ''P'' || i FROM generate_series(1, 5) i');
SELECT xmin AS before FROM pg_class WHERE oid = '"Pool""s".shop_pool_1'::regclass \gset
SET ROLE regress_vm_dba;
SELECT * FROM vm_prepare('T', 'P1');
SELECT * FROM vm_prepare('T', 'P2');
SELECT * FROM vm_prepare('T', 'P1');
SET ROLE regress_vm_feed;
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1", "amount": 1, "updated_at": 2000}'), ('2', '{"id": "2", "amount": "x"}');
INSERT INTO "Pool""s".shop_pool_2 (_id, _doc) VALUES ('1', '{"id": "1", "amount": 2}');
UPDATE "Pool""s".shop_pool_1 SET _doc = '{"id": "1", "amount": 0, "updated_at": 1000}' WHERE _id = '1';
RESET ROLE;
SELECT xmin = :'before' AS same FROM pg_class WHERE oid = '"Pool""s".shop_pool_1'::regclass;
SELECT tableoid::regclass, tenant, project, id, amount FROM "Pool""s".shop ORDER BY 1;
SELECT project, entity, child, pooled FROM vm_project_entity ORDER BY project;
SELECT project, found FROM vm_history ORDER BY history_id;
-- What asks for a child's mapping works with them.
SELECT check_name, rows FROM vm_check('"Pool""s".shop_pool_1') WHERE rows > 0 ORDER BY 1;
SELECT * FROM vm_retry_quarantine('"Pool""s".shop_pool_1');
SET client_min_messages = warning;
SELECT inserted FROM vm_move_batch('"Pool""s".shop_pool_1', dry_run => true);
RESET client_min_messages;
SELECT vm_drop_mapping('pooled');

-- Registered again: neither parent nor mapping can change under a pool.
SET ROLE regress_vm_dba;
SELECT vm_define_mapping('other', '{}');
SELECT vm_register_parent('"Pool""s".shop', 'other', 'shop');
SELECT vm_unregister_parent('shop');
SELECT vm_register_parent('"Pool""s".shop', 'pooled', 'shop', closed => 'amount < 0', move_order => 3);

-- Finished: given back, and the next project gets it. Cases of the one before are not the next one's.
UPDATE "Pool""s".shop_pool_1 SET amount = 5 WHERE _id = '1';
RESET ROLE;
UPDATE vm_project_entity SET switch_at = now(), feed_stop_at = now() WHERE project = 'P1';
SET ROLE regress_vm_dba;
SELECT * FROM vm_finish('T', 'P1');
CALL vm_move('"Pool""s".shop_pool_1', quiet => true);
SELECT * FROM vm_finish('T', 'P1');
RESET ROLE;
UPDATE vm_quarantine SET settled_at = now(), settled_by = 'by hand';
UPDATE vm_anomaly SET resolved_at = now(), resolution = 'seen';
INSERT INTO vm_feed_seen VALUES ('"Pool""s".shop_pool_1', 1, now());
SET ROLE regress_vm_dba;
SELECT vm_pause_move('"Pool""s".shop_pool_1');
SELECT * FROM vm_finish('T', 'P1');
RESET ROLE;
SELECT project, entity, child, pooled, finish_at IS NOT NULL AS finished FROM vm_project_entity ORDER BY project;
SELECT (SELECT count(*) FROM vm_feed_seen WHERE child = '"Pool""s".shop_pool_1'::regclass) AS feeds, (SELECT count(*) FROM vm_move_control) AS controls, (SELECT count(*) FROM vm_pool) AS pool;
-- The feed that was not stopped: its documents are nobody's.
SET ROLE regress_vm_feed;
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
RESET ROLE;
UPDATE vm_anomaly SET resolved_at = NULL, resolution = NULL;
SET ROLE regress_vm_dba;
SELECT * FROM vm_prepare('T', 'P3');
SET ROLE regress_vm_feed;
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
RESET ROLE;
SELECT tableoid::regclass, tenant, project, id, amount FROM "Pool""s".shop ORDER BY 1, 3;
DELETE FROM "Pool""s".shop_pool_1;
UPDATE vm_project_entity SET switch_at = now(), feed_stop_at = now() WHERE project = 'P3';
SET ROLE regress_vm_dba;
SELECT * FROM vm_finish('T', 'P3');

-- An assignment that is taken back; also what the session has compiled meanwhile.
SELECT * FROM vm_prepare('T', 'P4');
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
RESET ROLE;
DELETE FROM "Pool""s".shop_pool_1;
UPDATE vm_project_entity SET switch_at = now(), feed_stop_at = now() WHERE project = 'P4';
SET ROLE regress_vm_dba;
SELECT * FROM vm_finish('T', 'P4');
BEGIN;
SELECT * FROM vm_prepare('T', 'P5');
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
SELECT project FROM "Pool""s".shop_pool_1;
ROLLBACK;
INSERT INTO "Pool""s".shop_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
-- A feed of old habits: its snapshot is from before, the child's project is of now.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM "Pool""s".shop_pool_2;
INSERT INTO "Pool""s".shop_pool_2 (_id, _doc) VALUES ('2', '{"id": "2"}');
SELECT project FROM "Pool""s".shop_pool_2;
ROLLBACK;

-- A project that gets another name has it in the next document, from all who have compiled the old one.
BEGIN;
INSERT INTO "Pool""s".shop_pool_2 (_id, _doc) VALUES ('2', '{"id": "2"}') RETURNING project;
RESET ROLE;
UPDATE vm_project SET project = 'P2 renamed' WHERE project = 'P2';
SET ROLE regress_vm_dba;
INSERT INTO "Pool""s".shop_pool_2 (_id, _doc) VALUES ('3', '{"id": "3"}') RETURNING project;
RESET ROLE;
DELETE FROM vm_pool WHERE child = '"Pool""s".shop_pool_2'::regclass;
SET ROLE regress_vm_dba;
INSERT INTO "Pool""s".shop_pool_2 (_id, _doc) VALUES ('4', '{"id": "4"}') RETURNING project;
ROLLBACK;
INSERT INTO "Pool""s".shop_pool_2 (_id, _doc) VALUES ('2', '{"id": "2"}') RETURNING project;
DELETE FROM "Pool""s".shop_pool_2 WHERE _id = '2';

-- One that is not empty is not given away.
ALTER TABLE "Pool""s".shop_pool_1 DISABLE TRIGGER vm_transform;
INSERT INTO "Pool""s".shop_pool_1 (_id, tenant, project, id) VALUES ('1', 'T', 'P', '1');
SELECT * FROM vm_prepare('T', 'P5');
SELECT vm_drop_pool('shop');
DELETE FROM "Pool""s".shop_pool_1;
ALTER TABLE "Pool""s".shop_pool_1 ENABLE ALWAYS TRIGGER vm_transform;
-- A mapping that cannot work with a project that is served is refused.
SELECT vm_define_mapping('pooled', '{"columns": {"tenant": {"default": {"arg": 1}}, "amount": {"default": {"arg": 2}}}}');
-- One that cannot work with the next is found now; a child that was made for it by hand goes first.
RESET ROLE;
UPDATE vm_mapping SET rules = '{"columns": {"tenant": {"default": {"arg": 1}}, "amount": {"default": {"arg": 2}}}}' WHERE mapping = 'pooled';
SET ROLE regress_vm_dba;
SELECT * FROM vm_prepare('T', 'P5');
SELECT vm_define_mapping('pooled', '{"columns": {"tenant": {"default": {"arg": 1}}, "project": {"default": {"arg": 2}}}}');
SELECT vm_create_child('"Pool""s".shop', 'pooled', 'T', 'P5');
SELECT * FROM vm_prepare('T', 'P5');

-- None is free; one is dropped by hand.
SELECT vm_add_projects('SELECT ''T''::text, ''Q'' || i FROM generate_series(1, 4) i');
SELECT * FROM vm_prepare('T', 'Q1');
DROP TABLE "Pool""s".shop_pool_3;
SELECT * FROM vm_prepare('T', 'Q2');
SELECT * FROM vm_prepare('T', 'Q3');
DROP TABLE "Pool""s".shop_pool_1;
SELECT * FROM vm_prepare('T', 'Q1');
SELECT vm_create_pool('shop', 2);
SELECT * FROM vm_prepare('T', 'Q1');
SELECT vm_drop_pool('shop');
RESET ROLE;
SELECT * FROM vm_pool ORDER BY child;
SELECT project, child, pooled FROM vm_project_entity WHERE child IS NOT NULL ORDER BY project;

-- The shipped triggers, whose mapping is in their name.
SET ROLE regress_vm_dba;
CREATE TABLE "Pool""s".vouchers (tenant_id text, project_id text, id text PRIMARY KEY, deleted boolean, publish jsonb, created_at timestamptz,
    updated_at timestamptz, deleted_at timestamptz);
SELECT vm_register_parent('"Pool""s".vouchers', 'voucher');
SELECT vm_unregister_parent('shop');
CREATE TABLE "Pool""s".by_hand (_id text PRIMARY KEY, _doc text) INHERITS ("Pool""s".vouchers);
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON "Pool""s".by_hand FOR EACH ROW EXECUTE FUNCTION transform_voucher();
RESET ROLE;
INSERT INTO vm_pool VALUES ('"Pool""s".by_hand', 'voucher');
SET ROLE regress_vm_dba;
INSERT INTO "Pool""s".by_hand (_id, _doc) VALUES ('1', '{"id": "v_1"}');
SELECT vm_add_project('T', 'V');
RESET ROLE;
UPDATE vm_project_entity SET switch_at = now(), feed_stop_at = now(), finish_at = now(), child = NULL WHERE entity = 'shop';
DELETE FROM vm_pool WHERE entity = 'shop';
SET ROLE regress_vm_dba;
SELECT vm_unregister_parent('shop');
SELECT * FROM vm_prepare('T', 'V');
INSERT INTO "Pool""s".by_hand (_id, _doc) VALUES ('1', '{"id": "v_1"}');
SELECT tenant_id, project_id, id FROM "Pool""s".vouchers;
RESET ROLE;

-- A partitioned parent's.
SET ROLE regress_vm_dba;
CREATE TABLE "Pool""s".split (id text PRIMARY KEY, project text, updated_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE "Pool""s".split_1 PARTITION OF "Pool""s".split FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT vm_define_mapping('split', '{"columns": {"project": {"default": {"arg": 2}}}}');
SELECT vm_register_parent('"Pool""s".split', 'split');
SELECT vm_create_pool('split', 1);
SELECT * FROM vm_prepare('T', 'V');
INSERT INTO "Pool""s".split_pool_1 (_id, _doc) VALUES ('1', '{"id": "1"}');
SELECT moved FROM vm_move_batch('"Pool""s".split_pool_1');
RESET ROLE;
UPDATE vm_project_entity SET switch_at = now(), feed_stop_at = now() WHERE project = 'V';
SET ROLE regress_vm_dba;
SELECT moved FROM vm_move_batch('"Pool""s".split_pool_1');
SELECT * FROM "Pool""s".split;
SELECT moved FROM vm_move_batch('"Pool""s".by_hand');
SELECT * FROM vm_finish('T', 'V');
SELECT * FROM vm.vm_drop_pool('split');
SELECT * FROM vm.vm_drop_pool('split');
RESET ROLE;
SELECT * FROM vm_child;

SET client_min_messages = warning;
DROP SCHEMA "Pool""s" CASCADE;
DROP OWNED BY regress_vm_dba, regress_vm_feed;
DROP ROLE regress_vm_dba, regress_vm_feed;
DELETE FROM vm_project_entity;
DELETE FROM vm_pool;
DELETE FROM vm_parent;
DELETE FROM vm_project;
DELETE FROM vm_history;
DELETE FROM vm_feed_seen;
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;
DELETE FROM vm_move_batches;
DELETE FROM vm_move_run;
DELETE FROM vm_mapping WHERE NOT shipped;
