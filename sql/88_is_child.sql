-- A table that is no child where one is meant: most often its parent. What was a child once still is.
CREATE SCHEMA kin;
SET search_path = kin, vm;
\pset null '<NULL>'
\set SHOW_CONTEXT never
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"], "on_error": "quarantine"}');
CREATE TABLE shop (id text PRIMARY KEY, code integer, updated_at timestamptz);
CREATE TABLE plain () INHERITS (shop);

-- Neither parent nor child.
CALL vm_move('shop');
SELECT vm_pause_move('shop');
SELECT * FROM vm_retry_quarantine('shop');
CREATE VIEW seen AS TABLE shop;
SELECT vm_stop_move('seen');
-- A parent by its children.
SELECT vm_create_child('shop', 'shop', 'T', 'P' || n) FROM generate_series(1, 2) n;
CALL vm_move('shop');
SELECT vm_create_child('shop', 'shop', 'T', 'P' || n) FROM generate_series(3, 5) n;
SELECT * FROM vm_move_whole('shop');
-- By the registry, with children or without.
SELECT vm_register_parent('shop', 'shop', 'it''s');
SELECT * FROM vm_move_batch('shop');
DROP TABLE "shop_T_P2", "shop_T_P3", "shop_T_P4", "shop_T_P5";
CALL vm_move('shop');
SELECT * FROM vm_check('shop');
SELECT * FROM vm_retry_quarantine('shop');
SELECT vm_pause_move('shop');
SELECT vm_resume_move('shop');
SELECT vm_stop_move('shop');
SELECT count(*) FROM vm_move_control;
DROP TABLE "shop_T_P1";
CALL vm_move('shop');
SELECT vm_unregister_parent('it''s');
-- A child without its trigger, and one that has left its parent after rows of it have moved.
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO staged (_id, _doc) VALUES ('1', '{"id": "1"}'), ('2', '{"id": "2", "code": "bad"}');
ALTER TABLE staged DISABLE TRIGGER ALL;
SELECT vm_pause_move('staged');
CREATE TABLE bare (_id text, _doc text) INHERITS (shop);
SELECT vm_pause_move('bare'), vm_resume_move('bare');
CALL vm_move('bare');
SELECT vm_resume_move('staged');
CALL vm_move('staged', quiet => true);
DO $$
BEGIN
    EXECUTE (SELECT format('DROP TRIGGER %I ON staged', tgname) FROM pg_trigger WHERE tgrelid = 'staged'::regclass);
END $$;
ALTER TABLE staged NO INHERIT shop;
SELECT vm_pause_move('staged'), vm_resume_move('staged'), vm_stop_move('staged');
SELECT retried FROM vm_retry_quarantine('staged');
UPDATE vm_quarantine SET settled_at = now(), settled_by = 'test';
SELECT retried FROM vm_retry_quarantine('staged');
-- A child of a partitioned parent stands alone from the beginning.
CREATE TABLE parted (id text PRIMARY KEY, updated_at timestamptz) PARTITION BY LIST (id);
CREATE TABLE part PARTITION OF parted FOR VALUES IN ('1');
SELECT vm_create_child('parted', 'shop', 'T', 'P', 'alone');
SELECT vm_pause_move('alone'), vm_resume_move('alone'), vm_stop_move('alone');
SELECT retried FROM vm_retry_quarantine('alone');
CALL vm_move('parted');
SELECT * FROM vm_check('parted');
SELECT vm_pause_move('part');

SET client_min_messages = warning;
DROP SCHEMA kin CASCADE;
SELECT vm_drop_mapping('shop');
DELETE FROM vm_child;
DELETE FROM vm_history;
DELETE FROM vm_quarantine;
TRUNCATE vm_move_run, vm_move_batches, vm_move_control, vm_move_place;
