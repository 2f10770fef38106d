SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'

SELECT vm_define_mapping('shop', '{"columns": {"tenant": {"default": {"arg": 1}}}, "watermark": ["updated_at", "deleted_at"]}');
CREATE TABLE shop (tenant text, id text, code text, updated_at timestamptz, deleted_at timestamptz, PRIMARY KEY (tenant, id));
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
CREATE VIEW parent_rows AS SELECT id, code, updated_at, deleted_at FROM ONLY shop ORDER BY id, tenant;
CREATE VIEW anomalies AS SELECT child, _id, kind, incoming ->> 'code' AS incoming, stored ->> 'code' AS stored, incoming_time, stored_time,
    incoming_doc IS NOT NULL AS has_doc FROM vm_anomaly ORDER BY anomaly_id;

-- Nothing to move.
SELECT * FROM vm_move_batch('staged');
-- New rows are inserted; a row without its document stays.
INSERT INTO staged (_id, _doc) VALUES ('1', '{"id": "1", "code": "a", "updated_at": 1000}'), ('2', '{"id": "2", "code": "b"}'), ('3', NULL);
SELECT * FROM vm_move_batch('staged');
SELECT * FROM parent_rows;
SELECT _id, id FROM staged;
SELECT * FROM vm_move_batch('staged');

-- Newer wins, a tie and what is older are kept as they stand, NULL is older than any time; what loses is recorded.
TRUNCATE ONLY shop;
DELETE FROM staged;
INSERT INTO shop VALUES
    ('T', 'newer',         'parent', to_timestamp(1), NULL),
    ('T', 'newer by 1 us', 'parent', '1970-01-01 00:00:01', NULL),
    ('T', 'newer deleted', 'parent', to_timestamp(2), NULL),
    ('T', 'older',         'parent', to_timestamp(3), NULL),
    ('T', 'older deleted', 'parent', NULL, to_timestamp(3)),
    ('T', 'tie',           'parent', to_timestamp(2), NULL),
    ('T', 'the same',      'same',   to_timestamp(2), NULL),
    ('T', 'NULL child',    'parent', to_timestamp(2), NULL),
    ('T', 'NULL parent',   'parent', NULL, NULL),
    ('T', 'NULL both',     'parent', NULL, NULL),
    ('U', 'new',           'of another tenant', to_timestamp(9), NULL);
INSERT INTO staged (_id, _doc) VALUES
    ('newer',         '{"id": "newer", "code": "child", "updated_at": 2000}'),
    ('newer by 1 us', '{"id": "newer by 1 us", "code": "child", "updated_at": "1970-01-01T00:00:01.000001Z"}'),
    ('newer deleted', '{"id": "newer deleted", "code": "child", "updated_at": 1000, "deletedAt": 3000}'),
    ('older',         '{"id": "older", "code": "child", "updated_at": 2000}'),
    ('older deleted', '{"id": "older deleted", "code": "child", "updated_at": 2000}'),
    ('tie',           '{"id": "tie", "code": "child", "updated_at": 2000}'),
    ('the same',      '{"id": "the same", "code": "same", "updated_at": 2000}'),
    ('NULL child',    '{"id": "NULL child", "code": "child"}'),
    ('NULL parent',   '{"id": "NULL parent", "code": "child", "updated_at": 1000}'),
    ('NULL both',     '{"id": "NULL both", "code": "child"}'),
    ('new',           '{"id": "new", "code": "child", "updated_at": 1000}');
SELECT *, moved = inserted + updated + kept AS adds_up FROM vm_move_batch('staged');
SELECT * FROM parent_rows;
SELECT * FROM anomalies;
SELECT count(*) FROM staged;
-- A loser sent again is counted, not written again.
INSERT INTO staged (_id, _doc) VALUES ('older', '{"id": "older", "code": "child", "updated_at": 2000}');
SELECT * FROM vm_move_batch('staged');
SELECT _id, times_seen FROM vm_anomaly WHERE _id = 'older';
DELETE FROM vm_anomaly;

-- One key several times in the child: the newest goes, the others are losers.
DROP TABLE staged;
CREATE TABLE staged (_id text, _doc text) INHERITS (shop);
CREATE TRIGGER t BEFORE INSERT OR UPDATE OF _doc ON staged FOR EACH ROW EXECUTE FUNCTION vm_transform('shop', 'T', 'P');
TRUNCATE ONLY shop;
INSERT INTO shop VALUES ('T', 'in both', 'parent', to_timestamp(1), NULL), ('T', 'newest here', 'parent', to_timestamp(9), NULL);
INSERT INTO staged (_id, _doc) VALUES
    ('a', '{"id": "only here", "code": "first", "updated_at": 1000}'), ('b', '{"id": "only here", "code": "newest", "updated_at": 3000}'),
    ('c', '{"id": "only here", "code": "second", "updated_at": 2000}'), ('d', '{"id": "only here", "code": "without"}'),
    ('e', '{"id": "in both", "code": "first", "updated_at": 2000}'), ('f', '{"id": "in both", "code": "newest", "updated_at": 3000}'),
    ('g', '{"id": "newest here", "code": "first", "updated_at": 2000}'), ('h', '{"id": "newest here", "code": "second", "updated_at": 3000}');
SELECT *, moved = inserted + updated + kept AS adds_up FROM vm_move_batch('staged');
SELECT * FROM parent_rows;
SELECT _id, incoming, stored, incoming_time, stored_time FROM anomalies ORDER BY _id;
SELECT count(*) FROM staged;
DELETE FROM vm_anomaly;

-- Batches; in the end nothing is lost.
TRUNCATE ONLY shop;
INSERT INTO staged (_id, _doc) SELECT i::text, format('{"id": "%s", "code": "c%s", "updated_at": %s}', i, i, i) FROM generate_series(1, 100) i;
SELECT * FROM vm_move_batch('staged', 30);
SELECT (SELECT count(*) FROM ONLY shop) AS parent, (SELECT count(*) FROM staged) AS child, count(*) AS all FROM shop;
SELECT * FROM vm_move_batch('staged', batch_size => 1);
SELECT * FROM vm_move_batch('staged', 2147483647);
SELECT (SELECT count(*) FROM ONLY shop) AS parent, (SELECT count(*) FROM staged) AS child, count(DISTINCT id) AS all FROM shop;
-- A filter sees the child's columns and the caller's search_path.
TRUNCATE ONLY shop;
CREATE FUNCTION is_even(n text) RETURNS boolean LANGUAGE sql AS 'SELECT n::integer % 2 = 0';
INSERT INTO staged (_id, _doc) SELECT i::text, format('{"id": "%s", "code": "c%s", "updated_at": %s}', i, i, i) FROM generate_series(1, 10) i;
SELECT * FROM vm_move_batch('staged', filter => 'is_even(id)');
SELECT * FROM vm_move_batch('staged', 100, 'id = ''1'' OR code = ''c3'' -- these');
SELECT * FROM vm_move_batch('staged', 100, 'false');
SELECT * FROM vm_move_batch('staged', 100, '_doc::jsonb @> ''{"id": "5"}'' AND updated_at < now()');
SELECT string_agg(id, ' ' ORDER BY id::integer) FROM ONLY shop;
\set VERBOSITY sqlstate
SELECT * FROM vm_move_batch('staged', 100, 'nothing = 1');
SELECT * FROM vm_move_batch('staged', 100, 'id =');
SELECT * FROM vm_move_batch('staged', 100, '');
SELECT * FROM vm_move_batch('staged', 100, 'id');
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT string_agg(id, ' ' ORDER BY id::integer) FROM staged;

-- Refused.
SELECT * FROM vm_move_batch('staged', 0);
SELECT * FROM vm_move_batch('staged', NULL);
SELECT * FROM vm_move_batch(NULL);
SELECT * FROM vm_move_batch('shop');
SELECT * FROM vm_move_batch('nothing');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM vm_move_batch('staged');
ROLLBACK;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT * FROM vm_move_batch('staged');
ROLLBACK;
BEGIN READ ONLY;
\set VERBOSITY sqlstate
SELECT * FROM vm_move_batch('staged');
\set VERBOSITY default
ROLLBACK;

-- A row that the parent refuses does not stop the others; mended, it goes in.
\set SHOW_CONTEXT never
ALTER TABLE ONLY shop ADD CONSTRAINT "no nines" CHECK (id <> '9') NO INHERIT;
SELECT * FROM vm_move_batch('staged');
SELECT string_agg(id, ' ' ORDER BY id::integer) AS child, (SELECT string_agg(id, ' ' ORDER BY id::integer) FROM ONLY shop) AS parent FROM staged;
SELECT child, _id, operation, sqlstate, message, staged_row FROM vm_quarantine WHERE settled_at IS NULL;
SELECT * FROM vm_retry_quarantine('staged');
ALTER TABLE shop DROP CONSTRAINT "no nines";
SELECT * FROM vm_retry_quarantine('staged');
SELECT _id, attempts, settled_by FROM vm_quarantine WHERE operation = 'MOVE';
SELECT string_agg(id, ' ' ORDER BY id::integer) AS parent FROM ONLY shop;
DELETE FROM vm_quarantine;
INSERT INTO staged (_id, _doc) SELECT i::text, format('{"id": "%s", "code": "c%s", "updated_at": %s}', i, i, i) FROM generate_series(1, 2) i;
-- A child that keeps its rows.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER keep BEFORE DELETE ON staged FOR EACH ROW EXECUTE FUNCTION keep();
SELECT * FROM vm_move_batch('staged');
SELECT (SELECT count(*) FROM ONLY shop) AS parent, (SELECT count(*) FROM staged) AS child;
DROP TRIGGER keep ON staged;
-- A parent whose trigger takes no rows: nothing may be lost.
CREATE TRIGGER keep BEFORE INSERT ON shop FOR EACH ROW EXECUTE FUNCTION keep();
INSERT INTO staged (_id, _doc) VALUES ('11', '{"id": "11", "code": "new"}');
SELECT * FROM vm_move_batch('staged');
SELECT _id, sqlstate, message, staged_row ->> 'code' AS code FROM vm_quarantine;
DROP TRIGGER keep ON shop;
DROP FUNCTION keep();
SELECT * FROM vm_retry_quarantine('staged');
SELECT code FROM ONLY shop WHERE id = '11';
-- A refused row that is given up goes nowhere; what there is of it stays on record.
ALTER TABLE ONLY shop ADD CONSTRAINT "no twelves" CHECK (id <> '12') NO INHERIT;
INSERT INTO staged (_id, _doc) VALUES ('12', '{"id": "12", "code": "twelve"}');
SELECT quarantined FROM vm_move_batch('staged');
SELECT FROM vm_quarantine q, vm_settle_quarantine(q.quarantine_id, 'written off') WHERE q._id = '12';
ALTER TABLE shop DROP CONSTRAINT "no twelves";
SELECT * FROM vm_retry_quarantine('staged');
SELECT count(*) FROM shop WHERE id = '12';
SELECT child_name, settled_by, decision, staged_row ->> 'code' AS code FROM vm_quarantine WHERE _id = '12';
DELETE FROM vm_quarantine;
DELETE FROM vm_anomaly;

-- No filter brings rows that have no document yet.
TRUNCATE shop;
DROP TABLE staged;
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO staged (_id, _doc) VALUES ('none', NULL), ('some', '{"id": "some"}');
DO $$
BEGIN
    PERFORM vm.vm_move_batch('vm.staged', 100, 'true) OR (_doc IS NULL');
EXCEPTION WHEN syntax_error THEN
    NULL;
END $$;
SELECT _id FROM staged WHERE _id = 'none';
SELECT count(*) FROM ONLY shop WHERE id IS NULL;

-- No mapping in sight, no single parent, no key.
CREATE TABLE bare (_id text, _doc text) INHERITS (shop);
SELECT * FROM vm_move_batch('bare');
CREATE TABLE alone (_id text, _doc text, tenant text, updated_at timestamptz, deleted_at timestamptz);
CREATE TRIGGER t BEFORE INSERT ON alone FOR EACH ROW EXECUTE FUNCTION vm_transform('shop', 'T', 'P');
SELECT * FROM vm_move_batch('alone');
CREATE TABLE other_parent (id text);
CREATE TABLE of_two (_id text, _doc text) INHERITS (shop, other_parent);
CREATE TRIGGER t BEFORE INSERT ON of_two FOR EACH ROW EXECUTE FUNCTION vm_transform('shop', 'T', 'P');
SELECT * FROM vm_move_batch('of_two');
DROP TABLE bare, alone, of_two, other_parent;
ALTER TABLE shop DROP CONSTRAINT shop_pkey;
CREATE UNIQUE INDEX partial ON shop (id) WHERE code IS NOT NULL;
CREATE UNIQUE INDEX expression ON shop (lower(id));
ALTER TABLE shop ADD CONSTRAINT deferred UNIQUE (tenant, id) DEFERRABLE;
INSERT INTO staged (_id, _doc) VALUES ('n', '{"id": "n"}');
SELECT * FROM vm_move_batch('staged');
DROP VIEW parent_rows, anomalies;
DROP TABLE shop CASCADE;

--
-- Columns in another order, dropped ones, generated ones, a key in the middle
--
SELECT vm_define_mapping('odd', '{"watermark": "t"}');
CREATE TABLE odd (gone integer, n integer, "Key" text, double integer GENERATED ALWAYS AS (v * 2) STORED,
                  gone_too text, v integer, "order" text DEFAULT 'none', t timestamp, j jsonb, a text[], UNIQUE ("Key"));
ALTER TABLE odd DROP COLUMN gone, ALTER COLUMN "Key" SET NOT NULL;
CREATE TABLE odd_child (_doc jsonb, a text[], t timestamp, spare integer, v integer, "order" text, j jsonb, "Key" text NOT NULL, n integer, gone_too text, _id varchar,
                        double integer GENERATED ALWAYS AS (v * 2) STORED);
ALTER TABLE odd_child DROP COLUMN spare;
ALTER TABLE odd_child INHERIT odd;
ALTER TABLE odd DROP COLUMN gone_too, ADD COLUMN late integer;
CREATE TRIGGER t BEFORE INSERT OR UPDATE OF _doc ON odd_child FOR EACH ROW EXECUTE FUNCTION vm_transform('odd', 'T', 'P');
INSERT INTO odd ("Key", v, t, late) VALUES ('a', 1, '2000-01-01', 1), ('b', 1, '2100-01-01', 1);
INSERT INTO odd_child (_id, _doc) VALUES ('1', '{"Key": "a", "v": 2, "order": "by", "t": "2020-01-01", "j": {"x": 1}, "a": ["p", null], "n": 9, "late": 5}'),
    ('2', '{"Key": "b", "v": 2, "t": "2020-01-01"}'), ('3', '{"Key": "c", "v": 3, "late": 7}');
SELECT * FROM vm_move_batch('odd_child');
SELECT n, "Key", double, v, "order", t, j, a, late FROM ONLY odd ORDER BY "Key";
SELECT _id, incoming_time, stored_time, incoming, stored FROM vm_anomaly;
DELETE FROM vm_anomaly;
DROP TABLE odd CASCADE;
-- Columns of any name.
CREATE TABLE letters (a text, b text, c text, p text, s text, w text, x text, y text, n integer, tid text, excluded text, "child" text, parent text, id text,
                      t timestamptz, PRIMARY KEY (c, p, s));
SELECT vm_create_child('letters', 'odd', 'T', 'P', 'letters_child');
INSERT INTO letters (c, p, s, w, x, t) VALUES ('1', '1', '1', 'parent', 'parent', to_timestamp(9)), ('2', '2', '2', 'parent', 'parent', to_timestamp(1));
INSERT INTO letters_child (_id, _doc) VALUES ('1', '{"c": 1, "p": 1, "s": 1, "w": "child", "x": "child", "t": 2000}'),
    ('2', '{"c": 2, "p": 2, "s": 2, "w": "child", "x": "child", "t": 2000, "b": "b", "tid": "v"}'), ('3', '{"c": 3, "p": 3, "s": 3, "w": "child", "y": "y", "excluded": "e"}');
SELECT * FROM vm_move_batch('letters_child');
SELECT c, p, s, w, x, b, y, tid, excluded FROM ONLY letters ORDER BY c;
SELECT _id, jsonb_strip_nulls(incoming) AS incoming, jsonb_strip_nulls(stored) AS stored, incoming_doc FROM vm_anomaly;
DELETE FROM vm_anomaly;
DROP TABLE letters CASCADE;
-- Identity as the primary key: the other unique key decides.
CREATE TABLE counted (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE, t timestamptz);
SELECT vm_create_child('counted', 'odd', 'T', 'P', 'counted_child');
INSERT INTO counted (id, t) VALUES ('a', to_timestamp(1));
INSERT INTO counted_child (_id, _doc) VALUES ('1', '{"id": "a", "t": 2000}'), ('2', '{"id": "b", "t": 2000}');
SELECT * FROM vm_move_batch('counted_child');
SELECT n IS NOT NULL AS numbered, id, t FROM ONLY counted ORDER BY id;
DROP TABLE counted CASCADE;
-- Only keys, nothing to update.
CREATE TABLE keys (id text PRIMARY KEY, t timestamptz);
ALTER TABLE keys DROP CONSTRAINT keys_pkey, ADD PRIMARY KEY (id, t);
SELECT vm_create_child('keys', 'odd', 'T', 'P', 'keys_child');
INSERT INTO keys VALUES ('a', to_timestamp(1));
INSERT INTO keys_child (_id, _doc) VALUES ('1', '{"id": "a", "t": 1000}'), ('2', '{"id": "a", "t": 2000}');
SELECT * FROM vm_move_batch('keys_child');
SELECT * FROM ONLY keys ORDER BY t;
SELECT count(*) FROM vm_anomaly;
DROP TABLE keys CASCADE;
-- Keys that may be NULL do not say which rows are the same.
CREATE TABLE loose (code text UNIQUE, v integer, t timestamptz);
SELECT vm_create_child('loose', 'odd', 'T', 'P', 'loose_child');
INSERT INTO loose_child (_id, _doc) VALUES ('1', '{"v": 1, "t": 1}'), ('2', '{"v": 2, "t": 2}'), ('3', '{"code": "x", "v": 3, "t": 3}');
SELECT * FROM vm_move_batch('loose_child');
SELECT v FROM loose_child ORDER BY v;
DROP TABLE loose CASCADE;
-- Keys are equal when the index says so.
SET client_min_messages = warning;
CREATE EXTENSION citext SCHEMA public;
CREATE EXTENSION hstore SCHEMA public;
RESET client_min_messages;
CREATE TABLE cased (code citext PRIMARY KEY, v integer, t timestamptz);
SELECT vm_create_child('cased', 'odd', 'T', 'P', 'cased_child');
INSERT INTO cased VALUES ('ABC', 0, to_timestamp(0)), ('DEF', 0, to_timestamp(9));
INSERT INTO cased_child (_id, _doc) VALUES ('1', '{"code": "abc", "v": 1, "t": 1}'), ('2', '{"code": "def", "v": 1, "t": 1}');
SELECT * FROM vm_move_batch('cased_child');
SELECT lower(code) AS code, v FROM ONLY cased ORDER BY code;
SELECT _id, incoming ->> 'code' AS incoming, stored ->> 'code' AS stored FROM vm_anomaly;
DELETE FROM vm_anomaly;
DROP TABLE cased CASCADE;
CREATE TABLE stored (k hstore PRIMARY KEY, v integer, t timestamptz);
SELECT vm_create_child('stored', 'odd', 'T', 'P', 'stored_child');
INSERT INTO stored_child (_id, _doc) VALUES ('1', '{"k": "a=>1", "v": 1, "t": 1}');
SELECT * FROM vm_move_batch('stored_child');
DROP TABLE stored CASCADE;
DROP EXTENSION citext, hstore;
-- No watermark: what stands in the parent stays.
SELECT vm_define_mapping('timeless', '{}');
CREATE TABLE timeless (id text PRIMARY KEY, v integer);
SELECT vm_create_child('timeless', 'timeless', 'T', 'P', 'timeless_child');
INSERT INTO timeless VALUES ('a', 1), ('b', 1);
INSERT INTO timeless_child (_id, _doc) VALUES ('1', '{"id": "a", "v": 2}'), ('2', '{"id": "b", "v": 1}'), ('3', '{"id": "c", "v": 2}');
SELECT * FROM vm_move_batch('timeless_child');
SELECT * FROM ONLY timeless ORDER BY id;
SELECT _id, incoming_time, stored_time, incoming, stored FROM vm_anomaly;
-- The parent in another schema, its names in need of quotes; a parent with triggers and a foreign key.
CREATE SCHEMA "other schema";
CREATE TABLE "other schema"."Parent" (id text PRIMARY KEY, v integer, t timestamptz);
CREATE TABLE "other schema".moves (op text, id text);
CREATE FUNCTION "other schema".note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO "other schema".moves VALUES (tg_op, new.id);
    RETURN new;
END $$;
CREATE TRIGGER note BEFORE UPDATE ON "other schema"."Parent" FOR EACH ROW EXECUTE FUNCTION "other schema".note();
CREATE TRIGGER noted AFTER INSERT ON "other schema"."Parent" FOR EACH ROW EXECUTE FUNCTION "other schema".note();
SELECT vm_create_child('"other schema"."Parent"', 'odd', 'T', 'P') AS child;
INSERT INTO "other schema"."Parent" VALUES ('a', 1, to_timestamp(1));
INSERT INTO "other schema"."Parent_T_P" (_id, _doc) VALUES ('1', '{"id": "a", "v": 2, "t": 2000}'), ('2', '{"id": "b", "v": 2}');
SELECT * FROM vm_move_batch('"other schema"."Parent_T_P"');
SELECT * FROM "other schema".moves ORDER BY id, op COLLATE "C" DESC;
DROP TABLE timeless CASCADE;
SET client_min_messages = warning;
DROP SCHEMA "other schema" CASCADE;
DROP FUNCTION is_even(text);
DELETE FROM vm_mapping WHERE NOT shipped;
DELETE FROM vm_anomaly;
