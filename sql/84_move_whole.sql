-- vm_move_whole: a child at rest, in one transaction, and truncated.
SET search_path = vm, public;
SET timezone = 'UTC';
\pset null '<NULL>'
\set SHOW_CONTEXT never
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
CREATE TABLE shop (id text PRIMARY KEY, code text UNIQUE, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
ALTER TABLE staged DROP CONSTRAINT staged_code_key;
INSERT INTO shop VALUES ('1', 'older', to_timestamp(0)), ('2', 'newer', to_timestamp(9)), ('other', 'c4', NULL);
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "code": "c%s", "updated_at": %s}', i, i, i) FROM generate_series(1, 100) i;
SELECT * FROM vm_move_whole('staged');
SELECT (SELECT count(*) FROM ONLY shop) AS parent, (SELECT count(*) FROM staged) AS child, pg_relation_size('staged') AS bytes;
SELECT _id, incoming ->> 'code' AS incoming, stored ->> 'code' AS stored FROM vm_anomaly;
SELECT _id, sqlstate FROM vm_quarantine;
SELECT inserted, updated, kept, quarantined FROM vm_move_batches;
SELECT * FROM vm_move_whole('staged');
-- A row that still waits for its document would be lost.
INSERT INTO staged (_id) VALUES ('half');
SELECT * FROM vm_move_whole('staged');
DELETE FROM staged;
-- So would what triggers and policies of the child do with deleted rows.
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN old; END';
CREATE TRIGGER note BEFORE DELETE ON staged FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO staged (_id, _doc) VALUES ('a', '{"id": "a", "code": "a"}');
SELECT * FROM vm_move_whole('staged');
DROP TRIGGER note ON staged;
DROP FUNCTION note();
-- An error leaves everything as it was.
SELECT * FROM vm_move_whole('staged', on_conflict => 'nothing');
INSERT INTO shop VALUES ('a', 'parent', NULL);
SELECT * FROM vm_move_whole('staged', on_conflict => 'error');
SELECT count(*) FROM staged;
SELECT * FROM vm_move_whole('staged', on_conflict => 'overwrite');
SELECT code FROM shop WHERE id = 'a';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM vm_move_whole('staged');
ROLLBACK;
DROP TABLE shop CASCADE;
SELECT vm_drop_mapping('shop');
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;
TRUNCATE vm_move_batches;
