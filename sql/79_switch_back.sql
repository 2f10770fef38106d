-- A switch that is taken back: what came after it is taken back too, and the feed has to begin anew where it cannot go on.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET search_path = back, vm;
\pset null '<NULL>'
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA back;
CREATE TABLE shop (tenant text, project text, id text PRIMARY KEY, deleted boolean NOT NULL DEFAULT false, updated_at timestamptz);
CREATE TABLE bill (LIKE shop INCLUDING ALL);
SELECT vm_define_mapping('shop', '{"columns": {"tenant": {"default": {"arg": 1}}, "project": {"default": {"arg": 2}}, "deleted": {"default": false}}, "watermark": "updated_at"}');
SELECT vm_register_parent('shop', 'shop', source_database => 'db');
SELECT vm_register_parent('bill', 'shop', 'bill', closed => 'false', move_active => 'before_switch', source_database => 'db');
SELECT vm_add_project('T', 'P');
SELECT vm_record_step('T', 'P', 'source_check', 'clean');
SELECT vm_prepare('T', 'P');
SELECT vm_record_step('T', 'P', 'feed_start');
INSERT INTO "shop_T_P" (_id, _doc) SELECT i, format('{"id": "%s", "deleted": %s, "updated_at": 1}', i, (i = 1)::text) FROM generate_series(1, 3) i;
INSERT INTO "bill_T_P" (_id, _doc) VALUES ('1', '{"id": "1", "updated_at": 1}');
SELECT vm_check_project('T', 'P');
CALL vm_move('"shop_T_P"', filter => 'deleted');
CALL vm_move('"bill_T_P"');
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
RESET client_min_messages;
CREATE VIEW steps AS SELECT entity, feed_start_at IS NOT NULL AS feed_start, check_at IS NOT NULL AS "check", move_closed_at IS NOT NULL AS move_closed,
    switch_at IS NOT NULL AS switch, anomaly_check_at IS NOT NULL AS anomaly_check, move_at IS NOT NULL AS move, feed_stop_at IS NOT NULL AS feed_stop
    FROM vm_project_entity ORDER BY 1 DESC;
CREATE FUNCTION back(reason text) RETURNS SETOF text SET client_min_messages = error LANGUAGE sql AS $$
    SELECT entity FROM vm_switch_back('T', 'P', reason => reason, count_written => false) $$;

-- Nothing has moved since, and the feed is at work: the next switch may come at once, of what moves before it once that is moved.
SELECT back('too early');
TABLE steps;
SELECT step, entity, do_first FROM vm_next('T', 'P');
BEGIN;
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
ROLLBACK;
INSERT INTO "bill_T_P" (_id, _doc) VALUES ('2', '{"id": "2", "updated_at": 1}');
SELECT step, entity, do_first FROM vm_next('T', 'P');
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
CALL vm_move('"bill_T_P"', quiet => true);
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);

-- Rows have moved since. The feed is still at work, but what it changes in them it does not find.
SELECT moved FROM vm_move_batch('"shop_T_P"', 1);
UPDATE vm_flag SET changed_at = '2024-05-06 07:08:09.5+00';
SELECT entity FROM vm_switch_back('T', 'P', reason => 'wrong prices', count_written => false);
TABLE steps;
INSERT INTO "shop_T_P" (_id, _doc) VALUES ('4', '{"id": "4", "updated_at": 1}');
SELECT step, entity, statement, do_first FROM vm_next('T', 'P') \gx
SELECT entity, step, next_step FROM vm_status;
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT vm_check_project('T', 'P');
SELECT vm_move_batch('"shop_T_P"');
SELECT vm_record_step('T', 'P', 'feed_start', 'loaded once more', 'shop');
SELECT step, entity FROM vm_next('T', 'P');
CALL vm_move('"bill_T_P"', quiet => true);
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);

-- An older snapshot would not show what has moved.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT vm_switch_back('T', 'P', reason => 'wrong prices');
ROLLBACK;

-- A row that the move has kept back is gone from the child, too.
BEGIN;
DELETE FROM vm_move_batches;
INSERT INTO shop VALUES ('T', 'P', '9', false, '2030-01-01');
INSERT INTO "shop_T_P" (_id, _doc) VALUES ('9', '{"id": "9", "updated_at": 1}');
SELECT moved, kept FROM vm_move_batch('"shop_T_P"', filter => 'id = ''9''');
SELECT back('wrong prices');
TABLE steps;
ROLLBACK;

-- The feed was stopped.
SELECT entity, anomalies, quarantined FROM vm_check_anomalies('T', 'P');
SELECT vm_record_step('T', 'P', 'feed_stop');
SELECT back('wrong prices again');
TABLE steps;
SELECT step, entity, do_first FROM vm_next('T', 'P');
SELECT entity, step, next_step FROM vm_status;
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT * FROM vm_finish('T', 'P');
SELECT entity, step, found, override_reason FROM vm_history WHERE step IN ('feed_start', 'feed_start_back', 'switch_back') ORDER BY history_id;

-- It was finished: there is no child any more, and the project begins anew with another.
SELECT count(vm_record_step('T', 'P', 'feed_start', entity => entity)) FROM vm_project_entity;
CALL vm_move('"bill_T_P"', quiet => true);
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT entity, anomalies, quarantined FROM vm_check_anomalies('T', 'P');
CALL vm_move('"shop_T_P"', quiet => true);
CALL vm_move('"bill_T_P"', quiet => true);
SELECT vm_record_step('T', 'P', 'feed_stop');
SELECT entity, child FROM vm_finish('T', 'P');
UPDATE vm_flag SET changed_at = '2024-05-06 07:08:09.5+00';
SELECT entity FROM vm_switch_back('T', 'P', 'shop', 'a bill is wrong', false);
SELECT entity, step, next_step FROM vm_status;
SELECT step, entity, statement FROM vm_next('T', 'P');
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT * FROM vm_prepare('T', 'P');
SELECT step, entity, statement FROM vm_next('T', 'P');
INSERT INTO "shop_T_P" (_id, _doc) VALUES ('1', '{"id": "1", "deleted": true, "updated_at": 2}'), ('5', '{"id": "5", "updated_at": 2}');
SELECT vm_check_project('T', 'P', 'shop');
SELECT step, entity, statement FROM vm_next('T', 'P');
SELECT vm_record_step('T', 'P', 'feed_start', entity => 'shop');
SELECT vm_check_project('T', 'P', 'shop');
SELECT step, entity, statement FROM vm_next('T', 'P');
SELECT count(*) AS history FROM vm_history;

SET client_min_messages = warning;
DROP SCHEMA back CASCADE;
DELETE FROM vm_project_entity;
DELETE FROM vm_parent;
DELETE FROM vm_project;
DELETE FROM vm_history;
DELETE FROM vm_flag;
DELETE FROM vm_feed_seen;
DELETE FROM vm_move_batches;
DELETE FROM vm_move_run;
DELETE FROM vm_mapping WHERE NOT shipped;
