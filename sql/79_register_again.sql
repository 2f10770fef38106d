-- A parent that is registered again: what was done with it, and what another table in its place would do.
SET search_path = again, vm;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA again;
CREATE TABLE shop (tenant text, project text, id text PRIMARY KEY, deleted boolean NOT NULL DEFAULT false, updated_at timestamptz);
CREATE TABLE bill (LIKE shop INCLUDING ALL);
SELECT vm_define_mapping('shop', '{"columns": {"tenant": {"default": {"arg": 1}}, "project": {"default": {"arg": 2}}, "deleted": {"default": false}}, "watermark": "updated_at"}');
RESET client_min_messages;

--
-- Another table under the name of an entity: a slip, more often than not
--
SELECT vm_register_parent('bill', 'shop', 'bill', source_database => 'db', closed => 'false');
SELECT vm_register_parent('shop', 'shop', 'bill');
SELECT entity, parent, closed, source_database FROM vm_parent;
SELECT vm_register_parent('bill', 'shop', 'bill');
SELECT vm_register_parent('shop', 'shop');
-- The source is checked without the table.
SELECT vm_add_project('T', 'P');
SELECT vm_record_step('T', 'P', 'source_check', 'clean');
CREATE TABLE bill2 (LIKE bill INCLUDING ALL);
SELECT vm_register_parent('bill2', 'shop', 'bill');
SELECT vm_register_parent('bill', 'shop', 'bill');
SELECT * FROM vm_prepare('T', 'P');
SELECT vm_register_parent('bill2', 'shop', 'bill');
-- Their children were dropped by hand: they have begun all the same.
DROP TABLE "bill_T_P", "shop_T_P";
SELECT vm_register_parent('bill2', 'shop', 'bill');
-- So it is no longer if the table is gone, too.
DROP TABLE bill;
SELECT vm_register_parent('bill2', 'shop', 'bill');
SELECT vm_unregister_parent('bill');
DROP TABLE bill2;
SELECT vm_unregister_parent('bill');
SELECT entity, step, next_step FROM vm_status;
SELECT count(*) FROM vm_project_entity WHERE entity = 'bill';

-- An entity that there is not.
SELECT vm_switch('T', 'P', 'shops');
SELECT vm_unregister_parent('shops');
SELECT vm_feed_task('T', 'P', entity => 'shops');
SELECT vm_register_parent('shop', 'shops');

--
-- Taken out and registered again: what was finished is finished
--
DELETE FROM vm_history;
SELECT vm_prepare('T', 'P');
SELECT vm_record_step('T', 'P', 'feed_start');
INSERT INTO "shop_T_P" (_id, _doc) VALUES ('1', '{"id": "1", "updated_at": 1}');
SELECT * FROM vm_check_project('T', 'P');
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT entity, anomalies, quarantined FROM vm_check_anomalies('T', 'P');
CALL vm_move('"shop_T_P"', quiet => true);
SELECT vm_record_step('T', 'P', 'feed_stop');
SELECT entity, child FROM vm_finish('T', 'P');
SELECT vm_add_project('T', 'begun'), vm_record_step('T', 'begun', 'source_check', 'clean');
SELECT vm_unregister_parent('shop');
SELECT vm_is_switched('T', 'P', 'shop');
SELECT tenant, project, entity, child, finish_at IS NOT NULL AS finished FROM vm_project_entity ORDER BY project;
SELECT vm_next('T', 'P');
SELECT vm_register_parent('shop', 'shop', source_database => 'db');
SELECT project, entity, step, next_step, switched_at IS NOT NULL AS switched FROM vm_status;
SELECT * FROM vm_next('T', 'P');
SELECT * FROM vm_next('T', 'begun') \gx
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT * FROM vm_prepare('T', 'P');
SELECT * FROM vm_finish('T', 'P');
CALL vm_migrate($$project = 'P'$$, quiet => true);
-- A project that an entity is finished for which is out has the others still to do.
SELECT vm_unregister_parent('shop');
CREATE TABLE bill (LIKE shop INCLUDING ALL);
SELECT vm_register_parent('bill', 'shop', 'bill');
CALL vm_migrate($$project = 'P'$$, quiet => true);
SELECT project, state, step, entity FROM vm_migrate_progress;
SELECT vm_unregister_parent('bill'), vm_register_parent('shop', 'shop');
-- Back to MongoDB it begins anew.
UPDATE vm_flag SET changed_at = '2024-05-06 07:08:09.5+00';
SELECT entity FROM vm_switch_back('T', 'P', reason => 'once more', count_written => false);
SELECT step, next_step FROM vm_status WHERE project = 'P';

--
-- The flag was set, but not on record: a live project
--
SELECT vm_add_project('T', 'live');
INSERT INTO vm_flag (tenant, project, entity, switched, changed_at) VALUES ('T', 'live', 'shop', true, '2024-05-06 07:08:09.5+00');
SELECT switched_at FROM vm_status WHERE project = 'live';
SELECT entity, child FROM vm_prepare('T', 'live');
SELECT entity FROM vm_switch('T', 'live', quiet_seconds => 0);
SELECT entity FROM vm_switch('T', 'live', override_reason => 'twice', quiet_seconds => 0);
SELECT step, next_step, switched_at IS NOT NULL AS switched FROM vm_status WHERE project = 'live';
SELECT step, passed, found, override_reason FROM vm_history WHERE project = 'live' ORDER BY history_id;
SELECT step, statement FROM vm_next('T', 'live');

--
-- A child that was dropped by hand: vm_status and vm_next say the same
--
SELECT vm_add_project('T', 'lost');
SELECT vm_record_step('T', 'lost', 'source_check', 'clean');
SELECT vm_prepare('T', 'lost');
SELECT vm_record_step('T', 'lost', 'feed_start');
INSERT INTO "shop_T_lost" (_id, _doc) VALUES ('7', '{"id": "7", "updated_at": 1}');
DROP TABLE "shop_T_lost";
SELECT step, next_step, in_child FROM vm_status WHERE project = 'lost';
SELECT step, statement FROM vm_next('T', 'lost');
-- After the switch there is nothing to move in it.
UPDATE vm_project_entity SET switch_at = now(), anomaly_check_at = now() WHERE project = 'lost';
SELECT step, next_step, in_child FROM vm_status WHERE project = 'lost';
SELECT step FROM vm_next('T', 'lost');

SET client_min_messages = warning;
DROP SCHEMA again CASCADE;
DELETE FROM vm_project_entity;
DELETE FROM vm_parent;
DELETE FROM vm_project;
DELETE FROM vm_history;
DELETE FROM vm_flag;
DELETE FROM vm_feed_seen;
DELETE FROM vm_move_batches;
DELETE FROM vm_move_run;
DELETE FROM vm_migrate_run;
DELETE FROM vm_mapping WHERE NOT shipped;
