-- Moves of a child that belongs to a project: in their turn, on record, and a feed that is seen.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET search_path = turn, vm;
\pset null '<NULL>'
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA turn;
CREATE TABLE shop (id text PRIMARY KEY, amount integer, deleted boolean NOT NULL DEFAULT false, updated_at timestamptz);
SELECT vm_define_mapping('shop', '{"columns": {"deleted": {"default": false}}, "watermark": "updated_at", "on_error": "quarantine"}');
SELECT vm_register_parent('shop', 'shop');
SELECT vm_add_project('acme', 'winter');
SELECT vm_prepare('acme', 'winter');
RESET client_min_messages;

-- Nobody has written yet; then a feed has, once for a second's rows and for each of its sessions. A child of no project is not noted.
SELECT count(*) FROM vm_feed_seen;
SELECT vm_create_child('shop', 'shop', 'acme', 'spring', 'stray');
INSERT INTO stray (_id, _doc) VALUES ('1', '{"id": "s1"}');
INSERT INTO shop_acme_winter (_id, _doc) SELECT i, format('{"id": "%s", "amount": %s, "deleted": %s, "updated_at": %s}', i, i, (i % 3 = 0)::text, i) FROM generate_series(1, 9) i;
UPDATE shop_acme_winter SET _doc = '{"id": "9", "amount": 90, "deleted": true, "updated_at": 10}' WHERE _id = '9';
SELECT child, pid = pg_backend_pid() AS mine, last_at <= clock_timestamp() AS past FROM vm_feed_seen;
-- A document that is quarantined came from the feed too; one that is sent again did not.
DELETE FROM vm_feed_seen;
SELECT pg_sleep(1.1);
INSERT INTO shop_acme_winter (_id, _doc) VALUES ('q', '{"id": "q", "amount": "many"}');
SELECT count(*) FROM vm_feed_seen;
DELETE FROM vm_feed_seen;
SELECT pg_sleep(1.1);
SELECT * FROM vm_retry_quarantine();
SELECT count(*) FROM vm_feed_seen;
DELETE FROM vm_quarantine;

-- Before the switch closed rows move, others do not, by any of the functions.
SELECT * FROM vm_move_batch('shop_acme_winter');
SELECT * FROM vm_move_batch('shop_acme_winter', filter => 'amount > 3');
SELECT * FROM vm_move_whole('shop_acme_winter');
CALL vm_move('shop_acme_winter');
SELECT moved FROM vm_move_batch('shop_acme_winter', dry_run => true);
SELECT count(*) FROM ONLY shop;
SELECT moved, remaining FROM vm_move_batch('shop_acme_winter', batch_size => 1, filter => 'deleted');
SELECT step, found FROM vm_history WHERE step LIKE 'move%';
CALL vm_move('shop_acme_winter', filter => 'deleted', quiet => true);
SELECT tenant, project, entity, step, passed, found FROM vm_history WHERE step LIKE 'move%';
SELECT move_closed_at IS NOT NULL AS closed, move_at IS NOT NULL AS moved FROM vm_project_entity;
-- A child of no project is nobody's business.
SELECT moved FROM vm_move_batch('stray');

-- After it all do. A filter of one's own completes no step.
UPDATE vm_project_entity SET switch_at = now();
SELECT moved, remaining FROM vm_move_batch('shop_acme_winter', filter => 'amount < 3');
SELECT count(*) FROM vm_history WHERE step = 'move';
SELECT moved, remaining FROM vm_move_batch('shop_acme_winter', batch_size => 2);
SELECT moved, remaining FROM vm_move_batch('shop_acme_winter');
SELECT step, found FROM vm_history WHERE step = 'move';
SELECT count(*), sum(amount) FROM ONLY shop;

-- An entity that moves before the switch does so; vm_move_whole is on record too.
UPDATE vm_project_entity SET switch_at = NULL, move_at = NULL;
UPDATE vm_parent SET move_active = 'before_switch';
INSERT INTO shop_acme_winter (_id, _doc) VALUES ('20', '{"id": "20", "amount": 20, "updated_at": 20}');
SELECT moved FROM vm_move_whole('shop_acme_winter');
SELECT step, found FROM vm_history WHERE step = 'move' ORDER BY history_id DESC LIMIT 1;

SET client_min_messages = warning;
DROP SCHEMA turn CASCADE;
DELETE FROM vm_project_entity;
DELETE FROM vm_parent;
DELETE FROM vm_project;
DELETE FROM vm_history;
DELETE FROM vm_feed_seen;
DELETE FROM vm_anomaly;
DELETE FROM vm_move_batches;
DELETE FROM vm_move_run;
DELETE FROM vm_mapping WHERE NOT shipped;
