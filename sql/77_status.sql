-- vm_status: how far every entity of every project is.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_reader;
RESET client_min_messages;
\pset null ''
\set SHOW_CONTEXT never
CREATE SCHEMA status;
CREATE TABLE status.vouchers (id text PRIMARY KEY, code text, deleted boolean, updated_at timestamptz);
CREATE TABLE status.campaigns (id text PRIMARY KEY, updated_at timestamptz);
SELECT vm_define_mapping('status', '{"watermark": "updated_at", "on_error": "quarantine"}');
SELECT * FROM vm_status;
INSERT INTO vm_parent (entity, parent, mapping, move_order, closed, source_collection) VALUES
    ('vouchers', 'status.vouchers', 'status', 1, 'deleted', 'vouchers'), ('campaigns', 'status.campaigns', 'status', 2, NULL, 'campaigns');
SELECT * FROM vm_status;
INSERT INTO vm_project (tenant, project) VALUES ('acme', 'new'), ('acme', 'p1'), ('acme', 'p2');
SELECT vm_create_child('status.vouchers', 'status', 'acme', 'p1', 'v1'), vm_create_child('status.campaigns', 'status', 'acme', 'p1', 'c1');
INSERT INTO vm_project_entity (tenant, project, entity, child, source_check_at, prepare_at)
    VALUES ('acme', 'p1', 'vouchers', 'status.v1', now(), clock_timestamp()), ('acme', 'p1', 'campaigns', 'status.c1', now(), clock_timestamp());
SELECT * FROM vm_status;

-- What a child's tables say: rows, moved rows, open cases, failed checks.
INSERT INTO status.v1 (_id, _doc) SELECT n, format('{"id": "%s", "deleted": %s, "updated_at": {"$date": 1575648464123}}', n, (n % 2 = 0)::text) FROM generate_series(1, 6) n;
INSERT INTO status.v1 (_id, _doc) VALUES ('bad', '{"id": null}');
SET client_min_messages = error;
UPDATE status.v1 SET _doc = '{"id": "1", "updated_at": {"$date": 1}}' WHERE _id = '1';
RESET client_min_messages;
CALL vm_move('status.v1', filter => 'deleted', quiet => true);
SELECT entity, check_name, rows FROM vm_check_project('acme', 'p1', 'vouchers');
DELETE FROM vm_feed_seen;
INSERT INTO vm_feed_seen SELECT child, n, to_timestamp(4000000000 + n + 0.5) FROM vm_project_entity, generate_series(0, 2) n WHERE entity = 'vouchers';
SELECT pg_stat_force_next_flush();
SELECT * FROM vm_status WHERE project = 'p1';
-- Steps and what comes after them, in both orders.
CREATE FUNCTION status.at(steps text) RETURNS TABLE (steps_done text, move_active text, step text, next_step text) LANGUAGE plpgsql AS $$
DECLARE
    s text;
BEGIN
    UPDATE vm.vm_project_entity SET source_check_at = NULL, prepare_at = NULL, feed_start_at = NULL, check_at = NULL, move_closed_at = NULL, switch_at = NULL,
        anomaly_check_at = NULL, move_at = NULL, feed_stop_at = NULL, finish_at = NULL WHERE entity = 'vouchers';
    FOREACH s IN ARRAY string_to_array(steps, ' ') LOOP
        EXECUTE format('UPDATE vm.vm_project_entity SET %I = now() WHERE entity = ''vouchers''', s || '_at');
    END LOOP;
    RETURN QUERY SELECT steps, p.move_active, v.step, v.next_step FROM vm.vm_status v JOIN vm.vm_parent p USING (entity) WHERE (project, entity) = ('p1', 'vouchers');
END $$;
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;
SELECT a.* FROM unnest(ARRAY['source_check', 'source_check prepare', 'source_check prepare feed_start', 'source_check prepare feed_start check',
    'source_check prepare feed_start check move_closed', 'source_check prepare feed_start switch', 'prepare switch anomaly_check', 'prepare switch anomaly_check move',
    'prepare switch anomaly_check feed_stop', 'prepare switch anomaly_check feed_stop move', 'finish']) s, status.at(s) a;
UPDATE vm_parent SET move_active = 'before_switch';
SELECT a.* FROM unnest(ARRAY['source_check prepare feed_start check', 'source_check prepare feed_start check move', 'prepare check move switch',
    'prepare check move switch anomaly_check']) s, status.at(s) a;
UPDATE vm_parent SET move_active = 'after_switch';
-- A check that fails later takes its step back; one that passes ends what had failed.
UPDATE vm_project_entity SET feed_start_at = now(), prepare_at = now() - interval '1 hour', pooled = true WHERE entity = 'vouchers';
SELECT vm_define_check('odd', 'status.vouchers', 'id = ''3''');
SELECT count(*) FROM vm_check_project('acme', 'p1', 'vouchers');
SELECT entity, failed_checks FROM vm_status WHERE project = 'p1';
SELECT vm_drop_check('odd');
SELECT count(*) FROM vm_check_project('acme', 'p1', 'vouchers');
SELECT entity, failed_checks FROM vm_status WHERE project = 'p1';
-- Of a child that served another project before, nothing is said but what is this one's.
INSERT INTO vm_anomaly (child, mapping, _id, kind, incoming, detected_at, last_seen_at) VALUES ('status.v1', 'status', '1', 'late_document', '{}', now() - interval '2 hours', now() - interval '2 hours'),
    ('status.v1', 'status', '2', 'late_document', '{}', now() - interval '2 hours', now());
UPDATE vm_feed_seen SET last_at = now() - interval '2 hours';
UPDATE vm_move_batches SET moved_at = now() - interval '2 hours';
SELECT entity, moved, anomalies, feed_last_row FROM vm_status WHERE project = 'p1';
-- A child that is gone.
DROP TABLE status.c1;
SELECT entity, in_child, moved, anomalies FROM vm_status WHERE project = 'p1';
-- Who may read the view needs no right on the tables under it.
CREATE ROLE regress_vm_reader;
GRANT USAGE ON SCHEMA vm TO regress_vm_reader;
SET ROLE regress_vm_reader;
SELECT count(*) FROM vm_status;
RESET ROLE;
GRANT SELECT ON vm_status TO regress_vm_reader;
SET ROLE regress_vm_reader;
SELECT count(*) FROM vm_status;
RESET ROLE;
REVOKE ALL ON vm_status FROM regress_vm_reader;
REVOKE ALL ON SCHEMA vm FROM regress_vm_reader;
DROP ROLE regress_vm_reader;

-- Thousands: nothing is read as a whole for each entity.
INSERT INTO vm_project (tenant, project) SELECT 'many', 'p' || n FROM generate_series(1, 2000) n;
INSERT INTO vm_project_entity (tenant, project, entity, child, source_check_at, prepare_at)
    SELECT 'many', 'p' || n, e, (4000000000 + 2 * n + (e = 'vouchers')::integer)::oid::regclass, now(), now() FROM generate_series(1, 2000) n, unnest('{vouchers,campaigns}'::text[]) e;
INSERT INTO vm_history (tenant, project, entity, step, passed, found) SELECT tenant, project, entity, 'check', n = 25, 'n ' || n
    FROM vm_project_entity, generate_series(1, 25) n WHERE tenant = 'many';
INSERT INTO vm_move_batches (child, inserted, updated, kept, busy, quarantined, took_ms, waited_ms, wal_bytes)
    SELECT child, 1, 1, 0, 0, 0, 0, 0, 0 FROM vm_project_entity, generate_series(1, 25) n WHERE tenant = 'many';
ANALYZE vm_project, vm_project_entity, vm_history, vm_move_batches;
DO $$
DECLARE
    line text;
    line_time numeric;
BEGIN
    FOR line IN EXPLAIN (ANALYZE, COSTS off, TIMING off) SELECT * FROM vm.vm_status LOOP
        IF line ~ 'Seq Scan on (vm_history|vm_move_batches)' THEN
            RAISE 'read as a whole: %', line;
        END IF;
        line_time := coalesce(substring(line FROM 'Execution Time: (.*) ms')::numeric, line_time);
    END LOOP;
    -- By far: it takes a tenth of this.
    IF line_time > 5000 THEN
        RAISE 'slow: % ms', line_time;
    END IF;
END $$;
SELECT count(*), sum(moved) AS moved, count(failed_checks) AS failed FROM vm_status WHERE tenant = 'many';

SET client_min_messages = warning;
DELETE FROM vm_project_entity;
DELETE FROM vm_parent;
DELETE FROM vm_project;
TRUNCATE vm_history, vm_feed_seen, vm_anomaly, vm_quarantine, vm_move_run, vm_move_batches, vm_move_place;
DROP SCHEMA status CASCADE;
SELECT vm_drop_mapping('status');
