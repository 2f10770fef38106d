-- CALL vm_move: all rows, batch by batch; pause and stop; what the views say.
SET search_path = vm, public;
SET timezone = 'UTC';
\pset null '<NULL>'
\set SHOW_CONTEXT never
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
CREATE TABLE shop (id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
CREATE VIEW moves AS SELECT child, state, rows_done, percent, eta, batch_size, waits_for, last_error, inserted, updated, kept, quarantined, path, ended_at IS NOT NULL AS ended
    FROM vm_progress ORDER BY move_id;

CALL vm_move('staged', quiet => true);
INSERT INTO shop VALUES ('10', 'parent', to_timestamp(0)), ('11', 'parent', to_timestamp(100));
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "code": "c%s", "updated_at": %s}', i, i, i * 10) FROM generate_series(1, 2000) i;
INSERT INTO staged (_id) VALUES ('half');
CALL vm_move('staged', max_batch_size => 100, quiet => true);
SELECT * FROM moves;
SELECT count(*), sum(inserted) AS inserted, sum(updated) AS updated, sum(kept) AS kept FROM vm_move_batches WHERE move_id IS NOT NULL;
SELECT max(inserted + updated + kept) <= 100 AS within_the_limit FROM vm_move_batches;
SELECT (SELECT count(*) FROM ONLY shop) AS parent, (SELECT string_agg(_id, ' ') FROM staged) AS child;
-- A filter, other conflicts, a lock.
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "code": "again", "updated_at": 0}', i) FROM generate_series(1, 10) i;
CALL vm_move('staged', filter => 'id::integer > 5', on_conflict => 'overwrite', locking => 'lock', quiet => true);
CALL vm_move('staged', 'id::integer > 3', 'keep', quiet => true);
SELECT id FROM shop WHERE code = 'again' ORDER BY tableoid, id;
SELECT child, child_name, state, rows_done, inserted, updated, kept, path FROM vm_progress ORDER BY move_id DESC LIMIT 2;
-- What is refused: inside a transaction, a function, another isolation level; settings that are none.
BEGIN;
CALL vm_move('staged');
ROLLBACK;
CREATE FUNCTION moves_inside() RETURNS void LANGUAGE plpgsql AS 'BEGIN CALL vm.vm_move(''vm.staged''); END';
SELECT moves_inside();
DROP FUNCTION moves_inside();
SET default_transaction_isolation = 'repeatable read';
CALL vm_move('staged');
RESET default_transaction_isolation;
CALL vm_move('staged', target_batch_ms => 0);
CALL vm_move('staged', max_batch_size => NULL);
CALL vm_move('staged', max_rows_per_second => -1);
CALL vm_move('staged', max_run_time => '-1 s');
CALL vm_move('staged', lock_timeout_ms => 0);
CALL vm_move(NULL);
CALL vm_move('shop');
-- Errors that are not one row's: said, recorded, and nothing is lost.
CALL vm_move('staged', filter => 'nothing = 1', quiet => true);
CALL vm_move('staged', on_conflict => 'error', quiet => true);
SELECT state, last_error FROM vm_progress ORDER BY move_id DESC LIMIT 2;
SELECT count(*) FROM staged WHERE _doc IS NOT NULL;
-- A parent that refuses everything is the parent's fault, not the rows'.
TRUNCATE ONLY shop;
ALTER TABLE ONLY shop ADD CONSTRAINT closed CHECK (code = 'open') NO INHERIT;
CALL vm_move('staged', max_batch_size => 2, max_quarantined => 1, quiet => true);
SELECT state, quarantined, last_error FROM vm_progress ORDER BY move_id DESC LIMIT 1;
ALTER TABLE shop DROP CONSTRAINT closed;
SELECT settled FROM vm_retry_quarantine('staged');
CALL vm_move('staged', quiet => true);
SELECT (SELECT count(*) FROM ONLY shop) AS parent, (SELECT string_agg(_id, ' ') FROM staged) AS child;
DELETE FROM vm_quarantine;
-- Pausing and stopping are for those who may delete from the child.
SELECT vm_pause_move('staged');
SELECT paused_by = current_user AS by_me FROM vm_move_control;
INSERT INTO staged (_id, _doc) VALUES ('paused', '{"id": "paused"}');
CALL vm_move('staged', max_run_time => '0.1 s', quiet => true);
SELECT state, rows_done, waits_for FROM vm_progress ORDER BY move_id DESC LIMIT 1;
SELECT vm_resume_move('staged');
CALL vm_move('staged', quiet => true);
SELECT state, rows_done FROM vm_progress ORDER BY move_id DESC LIMIT 1;
SELECT vm_stop_move('staged');
SELECT vm_stop_move('nothing');
CREATE ROLE regress_vm_other;
GRANT USAGE ON SCHEMA vm TO regress_vm_other;
GRANT EXECUTE ON FUNCTION vm_stop_move(regclass) TO regress_vm_other;
SET ROLE regress_vm_other;
SELECT vm_stop_move('staged');
RESET ROLE;
REVOKE ALL ON SCHEMA vm FROM regress_vm_other;
REVOKE ALL ON FUNCTION vm_stop_move(regclass) FROM regress_vm_other;
DROP ROLE regress_vm_other;
-- Throttles that cannot work, and one that is the caller's own.
CREATE TABLE load (high boolean);
INSERT INTO load VALUES (true), (true);
INSERT INTO staged (_id, _doc) VALUES ('throttled', '{"id": "throttled"}');
CREATE FUNCTION falling() RETURNS boolean LANGUAGE sql AS 'WITH one AS (DELETE FROM load WHERE ctid = (SELECT min(ctid) FROM load) RETURNING high) SELECT coalesce((SELECT high FROM one), false)';
CALL vm_move('staged', throttle_query => 'SELECT falling()', quiet => true);
SELECT state, rows_done, waits_for FROM vm_progress ORDER BY move_id DESC LIMIT 1;
SELECT count(*) FROM load;
SELECT waited_ms >= 100 AS waited FROM vm_move_batches ORDER BY batch_id DESC LIMIT 1;
-- One that is none is refused at once: no move is on record. What fails later says that it is the throttle's, and so does a filter.
TRUNCATE vm_move_run;
\set SHOW_CONTEXT errors
CALL vm_move('staged', throttle_query => 'SELECT nonsense', quiet => true);
CALL vm_move('staged', throttle_query => 'SELECT 1', quiet => true);
CALL vm_move('staged', throttle_query => 'SELECT true, false;', quiet => true);
CALL vm_move('staged', throttle_query => 'DELETE FROM load', quiet => true);
CALL vm_move('staged', throttle_query => '', quiet => true);
CALL vm_move('staged', filter => 'nothing = 1', quiet => true);
SELECT count(*) FROM vm_move_run;
INSERT INTO staged (_id, _doc) VALUES ('0', '{"id": "0"}');
CALL vm_move('staged', throttle_query => 'SELECT count(*) / (SELECT count(*) FROM load) > 1 FROM load', quiet => true);
CALL vm_move('staged', filter => '1 / id::integer = 1', quiet => true);
\set SHOW_CONTEXT never
SELECT state, last_error FROM vm_progress ORDER BY move_id;
DROP FUNCTION falling();
DROP TABLE load;

DROP VIEW moves;
DROP TABLE shop CASCADE;
SELECT vm_drop_mapping('shop');
DELETE FROM vm_anomaly;
TRUNCATE vm_move_run, vm_move_batches, vm_move_control;
