-- What a child had that was dropped by hand, what was open before a child made by hand was taken, a parent without a key: nothing goes unnoticed.
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET search_path = lost, vm;
\pset null '<NULL>'
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA lost;
CREATE TABLE v (tenant_id text, project_id text, id text, n integer, deleted boolean, updated_at timestamptz, PRIMARY KEY (tenant_id, project_id, id));
SELECT vm_define_mapping('lost', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}}, "watermark": ["updated_at"], "on_error": "quarantine"}');
SELECT vm_register_parent('v', 'lost', 'v');
SELECT vm_add_project('acme', p), vm_record_step('acme', p, 'source_check', 'clean') FROM unnest('{p1,p2,p3}'::text[]) p;
CREATE FUNCTION fill(child regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s (_id, _doc) SELECT i, format(''{"id": "%%s", "updated_at": 1}'', i) FROM generate_series(1, 5) i', child);
END $$;

--
-- Dropped after the switch
--
SELECT * FROM vm_prepare('acme', 'p1');
SELECT fill('v_acme_p1');
SELECT * FROM vm_check_project('acme', 'p1');
SELECT entity FROM vm_switch('acme', 'p1', quiet_seconds => 0);
DROP TABLE v_acme_p1;
SELECT vm_record_step('acme', 'p1', 'feed_stop');
SELECT step, statement FROM vm_next('acme', 'p1');
SELECT * FROM vm_prepare('acme', 'p1');
SELECT step, do_first FROM vm_next('acme', 'p1');
SELECT step, next_step FROM vm_status WHERE project = 'p1';
-- What its feed still brings does not make it complete.
INSERT INTO v_acme_p1 (_id, _doc) VALUES ('5', '{"id": "5", "n": 1, "updated_at": 2}');
SELECT step FROM vm_next('acme', 'p1');
SELECT * FROM vm_check_anomalies('acme', 'p1');
CALL vm_move('v_acme_p1', quiet => true);
SELECT vm_record_step('acme', 'p1', 'feed_stop');
BEGIN;
UPDATE vm_project_entity SET feed_stop_at = now();
SELECT * FROM vm_finish('acme', 'p1');
ROLLBACK;
-- Once it has loaded the collection.
SELECT fill('v_acme_p1');
SELECT vm_record_step('acme', 'p1', 'feed_start', 'loaded once more');
SELECT step FROM vm_next('acme', 'p1');
SELECT next_step FROM vm_status WHERE project = 'p1';
CALL vm_move('v_acme_p1', quiet => true);
SELECT vm_resolve_anomaly(anomaly_id, 'the older one') FROM vm_anomaly;
SELECT vm_record_step('acme', 'p1', 'feed_stop');
SELECT found FROM vm_finish('acme', 'p1');
SELECT count(*), sum(n) FROM v;
SELECT step, found, override_reason FROM vm_history WHERE project = 'p1' AND step ~ 'feed' ORDER BY history_id;

--
-- Dropped before the switch: the same
--
SELECT * FROM vm_prepare('acme', 'p2');
SELECT vm_record_step('acme', 'p2', 'feed_start');
DROP TABLE v_acme_p2;
SELECT step FROM vm_next('acme', 'p2');
SELECT * FROM vm_prepare('acme', 'p2');
INSERT INTO v_acme_p2 (_id, _doc) VALUES ('5', '{"id": "5", "updated_at": 2}');
SELECT step, do_first FROM vm_next('acme', 'p2');
SELECT next_step FROM vm_status WHERE project = 'p2';
SELECT * FROM vm_check_project('acme', 'p2');
SELECT vm_record_step('acme', 'p2', 'feed_start');
SELECT step FROM vm_next('acme', 'p2');

--
-- Open before prepare: as vm_next and vm_status say, so does vm_finish
--
SELECT vm_create_child('v', 'lost', 'acme', 'p3', 'v_acme_p3');
INSERT INTO v_acme_p3 (_id, _doc) VALUES ('1', '{"id": "1", "n": "many", "updated_at": 1}');
SELECT * FROM vm_prepare('acme', 'p3');
SELECT vm_record_step('acme', 'p3', 'feed_start');
SELECT next_step, anomalies, quarantine FROM vm_status WHERE project = 'p3';
SELECT entity, check_name, rows FROM vm_check_project('acme', 'p3');
SELECT entity FROM vm_switch('acme', 'p3', override_reason => 'a trial', quiet_seconds => 0);
SELECT * FROM vm_check_anomalies('acme', 'p3');
SELECT step, why_not_yet FROM vm_next('acme', 'p3');
SELECT vm_record_step('acme', 'p3', 'feed_stop');
BEGIN;
UPDATE vm_project_entity SET feed_stop_at = now();
SELECT * FROM vm_finish('acme', 'p3');
ROLLBACK;

--
-- A parent without a key: registered with a WARNING, and not switched
--
CREATE TABLE w (id text, deleted boolean, updated_at timestamptz);
RESET client_min_messages;
SELECT vm_register_parent('w', 'lost2', 'w') FROM vm_define_mapping('lost2', '{"watermark": ["updated_at"]}');
SET client_min_messages = warning;
SELECT vm_add_project('acme', 'p4'), vm_record_step('acme', 'p4', 'source_check', 'clean');
SELECT * FROM vm_prepare('acme', 'p4');
SELECT vm_record_step('acme', 'p4', 'feed_start');
SELECT count(*) FROM vm_check_project('acme', 'p4');
SELECT entity FROM vm_switch('acme', 'p4', quiet_seconds => 0);
SELECT moved FROM vm_move_batch('w_acme_p4', filter => 'deleted');
ALTER TABLE w ALTER id SET NOT NULL;
CREATE UNIQUE INDEX w_by_id ON w (id);
SELECT entity FROM vm_switch('acme', 'p4', quiet_seconds => 0);
SELECT moved FROM vm_move_batch('w_acme_p4', key_index => 'w_by_id');

DROP SCHEMA lost CASCADE;
DELETE FROM vm_history;
DELETE FROM vm_project_entity;
DELETE FROM vm_flag;
DELETE FROM vm_project;
DELETE FROM vm_parent;
DELETE FROM vm_quarantine;
TRUNCATE vm_anomaly, vm_feed_seen, vm_move_run, vm_move_batches, vm_move_place;
SELECT vm_drop_mapping('lost');
SELECT vm_drop_mapping('lost2');
