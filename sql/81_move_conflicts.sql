-- on_conflict, dry runs, filters and batches: what becomes of a row whose key stands in the parent.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'
\set SHOW_CONTEXT never

SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
CREATE TABLE shop (id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
CREATE PROCEDURE fill() LANGUAGE sql BEGIN ATOMIC
    DELETE FROM shop;
    DELETE FROM vm_anomaly;
    INSERT INTO shop VALUES ('older here', 'parent', to_timestamp(1)), ('newer here', 'parent', to_timestamp(3)), ('tie', 'parent', to_timestamp(2)),
        ('same', 'child', to_timestamp(2));
    INSERT INTO staged (_id, _doc) SELECT id, format('{"id": "%s", "code": "child", "updated_at": 2000}', id) FROM ONLY shop;
    INSERT INTO staged (_id, _doc) VALUES ('new', '{"id": "new", "code": "child"}');
END;
CREATE VIEW outcome AS SELECT id, code FROM ONLY shop ORDER BY id;
CREATE VIEW lost AS SELECT _id, incoming ->> 'code' AS incoming, stored ->> 'code' AS stored FROM vm_anomaly ORDER BY _id;

-- newer: the greater watermark wins; on a tie the parent's row stays; what is the same is not worth a record.
TRUNCATE vm_move_batches;
CALL fill();
SELECT * FROM vm_move_batch('staged', on_conflict => 'newer');
SELECT * FROM outcome;
SELECT * FROM lost;
-- overwrite: the child's row wins whatever its age.
CALL fill();
SELECT * FROM vm_move_batch('staged', on_conflict => 'overwrite');
SELECT * FROM outcome;
SELECT * FROM lost;
-- keep: the parent's row wins whatever its age.
CALL fill();
SELECT * FROM vm_move_batch('staged', on_conflict => 'keep');
SELECT * FROM outcome;
SELECT * FROM lost;
-- error: nothing moves.
CALL fill();
SELECT * FROM vm_move_batch('staged', on_conflict => 'error');
SELECT * FROM outcome;
SELECT count(*) FROM staged;
SELECT * FROM vm_move_batch('staged', filter => 'id = ''new''', on_conflict => 'error');

-- A dry run says what would happen, and nothing has.
CALL fill();
ALTER TABLE ONLY shop ADD CONSTRAINT "no news" CHECK (id <> 'new') NO INHERIT;
\set VERBOSITY terse
SELECT * FROM vm_move_batch('staged', dry_run => true);
\set VERBOSITY default
SELECT * FROM outcome;
SELECT count(*) FROM staged;
SELECT count(*) FROM lost;
SELECT count(*) FROM vm_quarantine;
ALTER TABLE shop DROP CONSTRAINT "no news";

-- The place is remembered: later batches begin where the last one ended, a round comes back to what was left behind.
CALL fill();
DELETE FROM ONLY shop;
SELECT * FROM vm_move_batch('staged', 2);
SELECT block, "offset" > 1 AS further FROM vm_move_place WHERE filter = 'true' AND child = 'staged'::regclass;
SELECT * FROM vm_move_batch('staged', 2);
INSERT INTO staged (_id, _doc) VALUES ('later', '{"id": "later"}');
SELECT * FROM vm_move_batch('staged', 100);
TRUNCATE staged;
INSERT INTO staged (_id, _doc) VALUES ('after truncate', '{"id": "after truncate"}');
SELECT * FROM vm_move_batch('staged', 100);
-- A place of one filter means nothing for another.
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "f%s", "code": "c%s"}', i, i % 2) FROM generate_series(1, 10) i;
SELECT * FROM vm_move_batch('staged', 3, filter => 'code = ''c1''');
SELECT * FROM vm_move_batch('staged', 3, filter => 'code = ''c0''');
SELECT * FROM vm_move_batch('staged');
-- A filter may ask other tables.
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "g%s", "code": "c%s"}', i, i % 2) FROM generate_series(1, 10) i;
CREATE TABLE wanted (id text);
INSERT INTO wanted VALUES ('g2'), ('g9'), ('nothing');
SELECT * FROM vm_move_batch('staged', filter => 'id IN (SELECT id FROM wanted)');
SELECT * FROM vm_move_batch('staged');
DROP TABLE wanted;

-- What each batch did.
SELECT move_id, child, inserted, updated, kept, busy, quarantined, took_ms > 0 AS took, wal_bytes > 0 AS wal FROM vm_move_batches ORDER BY batch_id LIMIT 3;
TRUNCATE vm_move_batches;

-- Words that are none.
SELECT * FROM vm_move_batch('staged', on_conflict => 'latest');
SELECT * FROM vm_move_batch('staged', locking => 'none');
SELECT * FROM vm_move_batch('staged', on_conflict => NULL);
SELECT * FROM vm_move_batch('staged', locking => NULL);
SELECT * FROM vm_move_batch('staged', dry_run => NULL);

DROP VIEW outcome, lost;
DROP PROCEDURE fill();
DROP TABLE shop CASCADE;
SELECT vm_drop_mapping('shop');
DELETE FROM vm_anomaly;

-- One key several times in the child, found in different batches: the newest moves, the others are recorded, once there is an
-- index to find them by.
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
CREATE TABLE shop (id text PRIMARY KEY, code text, updated_at timestamptz);
CREATE TABLE staged (_id text, _doc text) INHERITS (shop);
CREATE TRIGGER t BEFORE INSERT OR UPDATE OF _doc ON staged FOR EACH ROW EXECUTE FUNCTION vm_transform('shop', 'T', 'P');
CREATE INDEX ON staged (id);
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "code": "version %s", "updated_at": %s}', i % 4, i, i) FROM generate_series(1, 12) i;
SELECT * FROM vm_move_batch('staged', 1);
SELECT _id, incoming ->> 'code' AS incoming, stored ->> 'code' AS stored FROM vm_anomaly ORDER BY anomaly_id;
CALL vm_move('staged', max_batch_size => 1, quiet => true);
SELECT id, code FROM ONLY shop ORDER BY id;
SELECT count(*) AS recorded FROM vm_anomaly;
DROP TABLE shop CASCADE;
SELECT vm_drop_mapping('shop');
DELETE FROM vm_anomaly;
TRUNCATE vm_move_batches, vm_move_run;

-- An index of the child by another equality than the parent's keeps out less; one with its columns in another order the same.
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
CREATE TABLE shop (id text COLLATE any_case, code text COLLATE any_case, updated_at timestamptz, PRIMARY KEY (id, code));
CREATE TABLE staged (_id text, _doc text) INHERITS (shop);
CREATE TRIGGER t BEFORE INSERT OR UPDATE OF _doc ON staged FOR EACH ROW EXECUTE FUNCTION vm_transform('shop', 'T', 'P');
CREATE UNIQUE INDEX by_byte ON staged (id COLLATE "C", code COLLATE "C");
INSERT INTO shop VALUES ('a', 'x', to_timestamp(0.002));
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "code": "%s", "updated_at": %s}', left(k, 1), right(k, 1), i)
FROM unnest('{ax,Bx,AX,bx,aX}'::text[]) WITH ORDINALITY t(k, i);
SELECT check_name, rows FROM vm_check('staged') WHERE check_name LIKE 'dup%';
SELECT * FROM vm_move_batch('staged');
SELECT id, code, updated_at FROM ONLY shop ORDER BY id;
SELECT _id, incoming ->> 'id' AS incoming, stored ->> 'id' AS stored FROM vm_anomaly ORDER BY _id;
SELECT count(*) AS quarantined FROM vm_quarantine;
DROP INDEX by_byte;
CREATE UNIQUE INDEX turned ON staged (code, id);
INSERT INTO staged (_id, _doc) VALUES ('6', '{"id": "c", "code": "x"}');
CALL vm_move('staged', quiet => true);
SELECT inserted, path FROM vm_move_run;
DROP TABLE shop CASCADE;
DROP COLLATION any_case;
SELECT vm_drop_mapping('shop');
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;
TRUNCATE vm_move_batches, vm_move_run;
