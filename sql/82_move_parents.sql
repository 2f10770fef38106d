-- Any parent: foreign keys, triggers, CHECKs, generated and identity columns, deferred constraints, row security, partitions.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'
\set SHOW_CONTEXT never
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
CREATE VIEW refused AS SELECT _id, sqlstate, message FROM vm_quarantine WHERE settled_at IS NULL ORDER BY _id;

-- A second unique key of the parent, rows that break it among themselves and against the parent's.
CREATE TABLE shop (id text PRIMARY KEY, code text UNIQUE, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
ALTER TABLE staged DROP CONSTRAINT staged_code_key;
INSERT INTO shop VALUES ('taken', 'c7', to_timestamp(0));
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "code": "c%s", "updated_at": %s}', i, CASE i WHEN 100 THEN 50 ELSE i END, i) FROM generate_series(1, 100) i;
SELECT * FROM vm_move_batch('staged');
SELECT count(*) FROM ONLY shop;
SELECT * FROM refused;
-- Mended in quarantine, or in the parent.
UPDATE vm_quarantine SET staged_row = jsonb_set(staged_row, '{code}', '"c100"') WHERE _id = '100';
DELETE FROM shop WHERE id = 'taken';
SELECT * FROM vm_retry_quarantine('staged');
SELECT count(*) FROM ONLY shop;
-- A retry does not replace what is newer.
INSERT INTO shop VALUES ('other', 'cx', to_timestamp(0));
INSERT INTO staged (_id, _doc) VALUES ('late', '{"id": "late", "code": "cx", "updated_at": 1}');
SELECT * FROM vm_move_batch('staged');
DELETE FROM shop WHERE id = 'other';
INSERT INTO shop VALUES ('late', 'application', to_timestamp(9));
SELECT * FROM vm_retry_quarantine('staged');
SELECT settled_by FROM vm_quarantine WHERE _id = 'late';
SELECT code FROM shop WHERE id = 'late';
-- A good document later settles a document's case, not a refused row's: it may hold what the application wrote.
INSERT INTO shop VALUES ('blocks', 'cy', to_timestamp(0));
INSERT INTO staged (_id, _doc) VALUES ('kept', '{"id": "kept", "code": "cz", "updated_at": 1}');
UPDATE shop SET code = 'cy' WHERE id = 'kept';
SELECT * FROM vm_move_batch('staged');
INSERT INTO staged (_id, _doc) VALUES ('kept', '{"id": "kept2", "code": "cz2", "updated_at": 1}');
SELECT _id, staged_row ->> 'code' AS code FROM vm_quarantine WHERE settled_at IS NULL;
DELETE FROM vm_quarantine;
DROP TABLE shop CASCADE;

-- Foreign keys, now and deferred; CHECK; a trigger that objects and one that changes the row; generated and identity columns.
CREATE TABLE campaign (name text PRIMARY KEY);
INSERT INTO campaign VALUES ('spring');
CREATE TABLE shop (
    n bigint GENERATED ALWAYS AS IDENTITY,
    id text PRIMARY KEY,
    campaign text REFERENCES campaign,
    later text REFERENCES campaign DEFERRABLE INITIALLY DEFERRED,
    amount integer,
    twice integer GENERATED ALWAYS AS (amount * 2) STORED,
    note text DEFAULT 'default',
    updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
ALTER TABLE staged DROP CONSTRAINT staged_campaign_fkey, DROP CONSTRAINT staged_later_fkey;
ALTER TABLE ONLY shop ADD CONSTRAINT "small amounts" CHECK (amount < 1000) NO INHERIT;
CREATE FUNCTION judge() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.amount = 13 THEN RAISE EXCEPTION 'not thirteen' USING DETAIL = 'It brings bad luck.'; END IF;
    IF new.amount = 14 THEN RETURN NULL; END IF;
    new.note := 'judged';
    RETURN new;
END $$;
CREATE TRIGGER judge BEFORE INSERT ON shop FOR EACH ROW EXECUTE FUNCTION judge();
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "amount": %s, "campaign": "spring", "later": "spring"}', lpad(i::text, 2, '0'), i) FROM generate_series(1, 20) i;
INSERT INTO staged (_id, _doc) VALUES ('a', '{"id": "a", "campaign": "nowhere"}'), ('b', '{"id": "b", "later": "nowhere"}'), ('c', '{"id": "c", "amount": 1000}');
SELECT * FROM vm_move_batch('staged');
SELECT count(*), count(DISTINCT n), count(twice), min(note) FROM ONLY shop;
SELECT * FROM refused;
SELECT count(*) FROM staged;
DELETE FROM vm_quarantine;
-- Deferred constraints stay deferred for what comes after in the transaction.
BEGIN;
INSERT INTO staged (_id, _doc) VALUES ('d', '{"id": "d", "later": "spring"}');
SELECT * FROM vm_move_batch('staged');
INSERT INTO shop (id, later) VALUES ('e', 'summer');
INSERT INTO campaign VALUES ('summer');
COMMIT;
SELECT id FROM ONLY shop WHERE later = 'summer';
DROP TABLE shop CASCADE;
DROP TABLE campaign;
DROP FUNCTION judge();

-- A trigger that writes rows under another key: one that is gone without a trace is in quarantine.
CREATE TABLE shop (id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
CREATE FUNCTION prefix() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.id := 'p_' || new.id; RETURN new; END $$;
CREATE TRIGGER prefix BEFORE INSERT ON shop FOR EACH ROW EXECUTE FUNCTION prefix();
INSERT INTO shop VALUES ('2', 'parent', to_timestamp(9));
INSERT INTO staged (_id, _doc) VALUES ('1', '{"id": "1", "code": "child", "updated_at": 1}'), ('2', '{"id": "2", "code": "child", "updated_at": 1}'),
    ('3', '{"id": "3", "code": "child", "updated_at": 1}');
SELECT * FROM vm_move_batch('staged');
SELECT id, code FROM ONLY shop ORDER BY id;
SELECT _id, incoming ->> 'code' AS incoming, stored ->> 'code' AS stored FROM vm_anomaly;
SELECT * FROM refused;
DELETE FROM vm_quarantine;
DROP TABLE shop CASCADE;
DROP FUNCTION prefix();

-- A partitioned parent: the child stands alone.
CREATE TABLE shop (id text, region integer, code text, updated_at timestamptz, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE shop_1 (dropped integer, id text NOT NULL, region integer NOT NULL, code text, updated_at timestamptz);
ALTER TABLE shop_1 DROP COLUMN dropped;
ALTER TABLE shop ATTACH PARTITION shop_1 FOR VALUES IN (1);
CREATE TABLE shop_2 PARTITION OF shop FOR VALUES IN (2);
CREATE INDEX ON shop (code);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
SELECT indexdef FROM pg_indexes WHERE tablename = 'staged' ORDER BY 1;
SELECT * FROM vm_child;
INSERT INTO shop VALUES ('1', 1, 'older', to_timestamp(0)), ('2', 2, 'newer', to_timestamp(10));
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "region": %s, "code": "child", "updated_at": %s}', i, 2 - i % 2, i) FROM generate_series(1, 5) i;
INSERT INTO staged (_id, _doc) VALUES ('9', '{"id": "9", "region": 3}');
SELECT * FROM vm_move_batch('staged');
SELECT tableoid::regclass, id, code FROM shop ORDER BY id;
SELECT * FROM refused;
SELECT _id, incoming ->> 'code' AS incoming, stored ->> 'code' AS stored FROM vm_anomaly;
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;
DROP TABLE shop, staged;
DELETE FROM vm_child;
CREATE TABLE part (id text PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES IN ('1');
SELECT vm_create_child('part_1', 'shop', 'T', 'P');
DROP TABLE part;

-- A unique index by name; one that will not do.
CREATE TABLE shop (id text PRIMARY KEY, code text NOT NULL, amount integer, updated_at timestamptz);
CREATE UNIQUE INDEX by_code ON shop (code);
CREATE UNIQUE INDEX by_amount ON shop (amount);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO shop VALUES ('old', 'c1', 1, to_timestamp(0));
INSERT INTO staged (_id, _doc) VALUES ('1', '{"id": "new", "code": "c1", "amount": 2, "updated_at": 1000}');
SELECT * FROM vm_move_batch('staged', key_index => 'by_amount');
SELECT * FROM vm_move_batch('staged', key_index => 'nothing');
SELECT * FROM vm_move_batch('staged', key_index => 'by_code');
SELECT * FROM ONLY shop;
DROP TABLE shop CASCADE;

-- Row security of parent and child, for an owner who is no superuser.
CREATE ROLE regress_vm_mover;
CREATE SCHEMA secured AUTHORIZATION regress_vm_mover;
GRANT USAGE ON SCHEMA vm TO regress_vm_mover;
GRANT EXECUTE ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) TO regress_vm_mover;
CREATE TABLE secured.shop (id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_create_child('secured.shop', 'shop', 'T', 'P', 'staged');
ALTER TABLE secured.shop OWNER TO regress_vm_mover;
ALTER TABLE secured.staged OWNER TO regress_vm_mover;
ALTER TABLE secured.shop ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY visible ON secured.shop USING (code <> 'secret');
INSERT INTO secured.staged (_id, _doc) VALUES ('1', '{"id": "1", "code": "open"}'), ('2', '{"id": "2", "code": "secret"}'), ('3', '{"id": "3", "code": "open"}');
SET ROLE regress_vm_mover;
\set VERBOSITY terse
SELECT * FROM vm_move_batch('secured.staged', dry_run => true) \gset
\set VERBOSITY default
SELECT :moved AS moved, :quarantined AS quarantined;
SELECT * FROM vm_move_batch('secured.staged');
RESET ROLE;
SELECT * FROM refused;
DELETE FROM vm_quarantine;
ALTER TABLE secured.shop NO FORCE ROW LEVEL SECURITY;
ALTER TABLE secured.staged ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON secured.staged USING (code = 'open');
INSERT INTO secured.staged (_id, _doc) VALUES ('4', '{"id": "4", "code": "open"}'), ('5', '{"id": "5", "code": "secret"}');
SET ROLE regress_vm_mover;
SELECT * FROM vm_move_batch('secured.staged');
RESET ROLE;
SELECT _id FROM secured.staged;
-- Rights are checked as SQL would.
CREATE ROLE regress_vm_other;
GRANT USAGE ON SCHEMA vm, secured TO regress_vm_other;
GRANT EXECUTE ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) TO regress_vm_other;
GRANT SELECT, INSERT, UPDATE ON secured.staged TO regress_vm_other;
ALTER TABLE secured.staged DISABLE ROW LEVEL SECURITY;
ALTER TABLE secured.shop DISABLE ROW LEVEL SECURITY;
SET ROLE regress_vm_other;
SELECT * FROM vm_move_batch('secured.staged');
RESET ROLE;
GRANT DELETE ON secured.staged TO regress_vm_other;
SET ROLE regress_vm_other;
SELECT * FROM vm_move_batch('secured.staged');
RESET ROLE;
GRANT SELECT, INSERT, UPDATE ON secured.shop TO regress_vm_other;
SET ROLE regress_vm_other;
SELECT * FROM vm_move_batch('secured.staged');
RESET ROLE;
SELECT count(*) FROM ONLY secured.shop;
SET client_min_messages = warning;
DROP SCHEMA secured CASCADE;
RESET client_min_messages;
REVOKE ALL ON SCHEMA vm FROM regress_vm_mover, regress_vm_other;
REVOKE ALL ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) FROM regress_vm_mover, regress_vm_other;
DROP ROLE regress_vm_mover, regress_vm_other;

-- Large values that stand in the child's TOAST table arrive whole.
CREATE TABLE shop (id text PRIMARY KEY, code text, data jsonb, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "code": "%s", "data": {"x": "%s"}}', i, (SELECT string_agg(md5(j::text), '') FROM generate_series(1, 500) j), (SELECT string_agg(md5(j::text), '') FROM generate_series(1, 5000) j))
FROM generate_series(1, 3) i;
SELECT md5(string_agg(code || data::text, '' ORDER BY id)) AS before FROM staged \gset
SELECT * FROM vm_move_batch('staged');
VACUUM staged;
SELECT md5(string_agg(code || data::text, '' ORDER BY id)) = :'before' AS whole FROM ONLY shop;
DROP TABLE shop CASCADE;

DROP VIEW refused;
SELECT vm_drop_mapping('shop');
TRUNCATE vm_move_batches;

--
-- Found by reading the move with fresh eyes
--
SELECT vm_define_mapping('shop', '{"watermark": ["updated_at"]}');
-- A dry run that fails leaves no subtransaction open.
CREATE TABLE shop (id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO shop VALUES ('1');
INSERT INTO staged (_id, _doc) VALUES ('1', '{"id": "1", "code": "child"}');
CREATE TABLE log (n integer);
DO $$
BEGIN
    BEGIN
        PERFORM vm.vm_move_batch('vm.staged', on_conflict => 'error', dry_run => true);
    EXCEPTION WHEN unique_violation THEN
        RAISE NOTICE 'refused';
    END;
    INSERT INTO vm.log VALUES (1);
END $$;
SELECT pg_current_xact_id_if_assigned() IS NULL AS ended;
SELECT count(*) FROM log;
-- A filter is one condition.
SELECT * FROM vm_move_batch('staged', filter => 'true) vm_a; DELETE FROM log; SELECT (true');
SELECT count(*) FROM log;
-- Values differ, however few digits the session shows.
ALTER TABLE shop ADD amount double precision;
UPDATE ONLY shop SET amount = 1.0000000001;
UPDATE staged SET amount = 1.0000000002;
SET extra_float_digits = -10;
SELECT kept FROM vm_move_batch('staged', on_conflict => 'keep');
RESET extra_float_digits;
SELECT incoming -> 'amount' AS incoming, stored -> 'amount' AS stored FROM vm_anomaly;
DELETE FROM vm_anomaly;
DROP TABLE shop CASCADE;
-- Columns of other types than the parent's are not moved as they are.
CREATE TABLE shop (id text PRIMARY KEY, code varchar(20), updated_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE shop_0 PARTITION OF shop FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO staged (_id, _doc) VALUES ('1', '{"id": "1", "code": "abcdefghijkl"}');
ALTER TABLE shop ALTER code TYPE varchar(5);
SELECT * FROM vm_move_batch('staged');
DROP TABLE shop, staged;
DELETE FROM vm_child;
-- A parent with an _id of its own.
CREATE TABLE shop (_id text, id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO shop VALUES ('p1', '1', 'parent', to_timestamp(9));
ALTER TABLE ONLY shop ADD CONSTRAINT short CHECK (length(code) < 10) NO INHERIT;
INSERT INTO staged (_id, _doc) VALUES ('c1', '{"id": "1", "code": "child"}'), ('c2', '{"id": "2", "code": "much too long"}');
SELECT * FROM vm_move_batch('staged');
SELECT _id, incoming ->> '_id' AS incoming, stored ->> '_id' AS stored FROM vm_anomaly;
ALTER TABLE shop DROP CONSTRAINT short;
SELECT settled FROM vm_retry_quarantine('staged');
SELECT _id, id, code FROM ONLY shop ORDER BY id;
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;
-- A refused row goes back as it was to be moved: no value gets lost by a column renamed or added, nor by a key chosen anew.
ALTER TABLE shop ALTER code SET NOT NULL;
CREATE UNIQUE INDEX by_code ON shop (code);
INSERT INTO staged (_id, _doc) VALUES ('c3', '{"id": "1", "code": "B"}');
SELECT * FROM vm_move_batch('staged', key_index => 'by_code', on_conflict => 'overwrite');
ALTER TABLE shop RENAME code TO voucher_code;
ALTER TABLE shop ADD n integer NOT NULL DEFAULT 5;
SELECT settled FROM vm_retry_quarantine('staged');
SELECT sqlstate, message FROM vm_quarantine;
UPDATE vm_quarantine SET staged_row = staged_row - 'code' || '{"voucher_code": "B"}';
SELECT settled FROM vm_retry_quarantine('staged');
SELECT sqlstate, message FROM vm_quarantine;
UPDATE vm_quarantine SET staged_row = staged_row || '{"id": "4"}';
SELECT settled FROM vm_retry_quarantine('staged');
SELECT id, voucher_code, n FROM ONLY shop ORDER BY id;
DELETE FROM vm_quarantine;
DROP TABLE shop CASCADE;
-- A missing right is not the rows' fault, even where there are policies; nor what the caller has left pending.
CREATE ROLE regress_vm_mover;
CREATE SCHEMA secured;
GRANT USAGE ON SCHEMA vm, secured TO regress_vm_mover;
GRANT EXECUTE ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) TO regress_vm_mover;
CREATE TABLE secured.shop (id text PRIMARY KEY, updated_at timestamptz);
SELECT vm_create_child('secured.shop', 'shop', 'T', 'P', 'staged');
ALTER TABLE secured.shop ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_rows ON secured.shop USING (true);
GRANT SELECT ON secured.shop TO regress_vm_mover;
GRANT ALL ON secured.staged TO regress_vm_mover;
INSERT INTO secured.staged (_id, _doc) VALUES ('1', '{"id": "1"}');
SET ROLE regress_vm_mover;
SELECT * FROM vm_move_batch('secured.staged');
RESET ROLE;
REVOKE USAGE ON SCHEMA secured FROM regress_vm_mover;
GRANT ALL ON secured.shop TO regress_vm_mover;
ALTER TABLE secured.shop DISABLE ROW LEVEL SECURITY;
SELECT 'secured.staged'::regclass::oid AS staged \gset
SET ROLE regress_vm_mover;
SELECT * FROM vm_move_batch(:staged);
RESET ROLE;
SELECT count(*) FROM secured.staged;
DROP SCHEMA secured CASCADE;
REVOKE ALL ON SCHEMA vm FROM regress_vm_mover;
REVOKE ALL ON FUNCTION vm_move_batch(regclass, integer, text, text, text, boolean, name) FROM regress_vm_mover;
DROP ROLE regress_vm_mover;
CREATE TABLE campaign (name text PRIMARY KEY);
CREATE TABLE shop (id text PRIMARY KEY, campaign text REFERENCES campaign DEFERRABLE INITIALLY DEFERRED, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO staged (_id, _doc) VALUES ('1', '{"id": "1"}');
BEGIN;
INSERT INTO shop VALUES ('app', 'pending');
SELECT * FROM vm_move_batch('staged');
ROLLBACK;
SELECT count(*) FROM vm_quarantine;
DROP TABLE shop CASCADE;
DROP TABLE campaign;
-- Triggers may raise what they like, and rely on the caller's search_path.
CREATE TABLE shop (id text PRIMARY KEY, n integer, updated_at timestamptz);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF new.n = 2 THEN RAISE EXCEPTION 'not two' USING ERRCODE = 'MY001'; END IF;
    INSERT INTO log VALUES (new.n);
    RETURN NULL;
END $$;
CREATE TRIGGER note AFTER INSERT ON shop FOR EACH ROW EXECUTE FUNCTION note();
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": "%s", "n": %s}', i, i) FROM generate_series(1, 4) i;
TRUNCATE log;
SELECT * FROM vm_move_batch('staged');
SELECT _id, sqlstate, message FROM vm_quarantine;
SELECT n FROM log ORDER BY n;
DELETE FROM vm_quarantine;
DROP TABLE shop CASCADE;
DROP FUNCTION note();
DROP TABLE log;
-- A row that is refused far behind the batch's beginning: what came before it is neither written nor recorded twice, and nothing is passed over.
CREATE TABLE shop (id integer PRIMARY KEY, n integer, updated_at timestamptz, CHECK (n <> 700) NO INHERIT);
SELECT vm_create_child('shop', 'shop', 'T', 'P', 'staged');
INSERT INTO shop VALUES (300, 0, 'infinity'), (400, 0, '-infinity');
INSERT INTO staged (_id, _doc) SELECT i, format('{"id": %s, "n": %s, "updated_at": %s}', i, i, i) FROM generate_series(1, 1000) i;
SELECT * FROM vm_move_batch('staged', 900);
SELECT count(*) AS anomalies FROM vm_anomaly;
CALL vm_move('staged', quiet => true);
SELECT count(*), sum(n) FROM ONLY shop;
SELECT count(*) AS anomalies FROM vm_anomaly;
SELECT _id, message FROM vm_quarantine;
TRUNCATE vm_quarantine, vm_anomaly, vm_move_run;
DROP TABLE shop CASCADE;
-- Children that are none.
CREATE TABLE parts (id text PRIMARY KEY, _id text, _doc text, updated_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE part PARTITION OF parts FOR VALUES WITH (MODULUS 1, REMAINDER 0);
CREATE TRIGGER t BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION vm_transform('shop', 'T', 'P');
SELECT * FROM vm_move_batch('part');
DROP TABLE parts;
CREATE TABLE shop (id text PRIMARY KEY, updated_at timestamptz);
CREATE TABLE bare (_id text) INHERITS (shop);
CREATE TRIGGER t BEFORE INSERT ON bare FOR EACH ROW EXECUTE FUNCTION vm_transform('shop', 'T', 'P');
SELECT * FROM vm_move_batch('bare');
DROP TABLE shop CASCADE;
SELECT vm_drop_mapping('shop');
TRUNCATE vm_move_batches;
