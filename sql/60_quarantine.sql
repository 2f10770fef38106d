SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'

CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN short_code AS varchar(6) CHECK (VALUE <> 'bad');
CREATE TABLE shop (
    id text NOT NULL, price numeric(6,2), changed timestamptz, state colour, code short_code, amount integer, info jsonb,
    checked integer, _id text PRIMARY KEY, _doc text
);
CREATE TRIGGER t BEFORE INSERT OR UPDATE OF _doc ON shop FOR EACH ROW EXECUTE FUNCTION vm_transform('shop');
CREATE VIEW open_cases AS
    SELECT child, mapping, _id, operation, sqlstate, message, field, column_name, attempts,
           last_attempt_at >= quarantined_at AS sane FROM vm_quarantine WHERE settled_at IS NULL ORDER BY quarantine_id;

--
-- raise: the article's way
--
SELECT vm_define_mapping('shop', '{"on_error": "raise", "watermark": "changed"}');
INSERT INTO shop (_id, _doc) VALUES ('1', '{"id": "a"}'), ('2', '{"id": "b", "amount": "many"}');
INSERT INTO shop (_id, _doc) VALUES ('1', '{}');
SELECT count(*) FROM shop;
SELECT count(*) FROM vm_quarantine;

--
-- quarantine: the feed goes on
--
SELECT vm_define_mapping('shop', '{"on_error": "quarantine", "watermark": "changed"}');
COPY shop (_id, _doc) FROM stdin;
good 1	{"id": "a", "amount": 1}
number	{"id": "b", "amount": "many"}
time	{"id": "b", "changed": "yesterday"}
enum	{"id": "b", "state": "blue"}
domain	{"id": "b", "code": "bad"}
length	{"id": "b", "code": "1234567"}
numeric	{"id": "b", "price": 12345}
missing	{"amount": 5}
cut off	{"id": "b", "info": {"some": "text that is cut o
no object	[1, 2]
nul	{"id": "a\\u0000b"}
range	{"id": "b", "info": 1e131072}
empty	
good 2	{"id": "c", "state": "red"}
\.
SELECT _id, id, amount, state FROM shop ORDER BY _id;
\x on
SELECT * FROM open_cases;
\x off
-- The count of rows is that of those that went in.
INSERT INTO shop (_id, _doc) VALUES ('another', '{"amount": 1}'), ('good 3', '{"id": "d"}') RETURNING _id;
-- An update with a bad document leaves the row as it was, all of it.
UPDATE shop SET _doc = '{"id": "a", "amount": "none"}', checked = 5 WHERE _id = 'good 1';
SELECT _id, id, amount, checked, _doc FROM shop WHERE _id = 'good 1';
-- The same again is the same case.
UPDATE shop SET _doc = '{"id": "a", "amount": "none"}' WHERE _id = 'good 1';
SELECT * FROM open_cases WHERE _id = 'good 1';
-- Nothing is kept that is rolled back.
BEGIN;
INSERT INTO shop (_id, _doc) VALUES ('rolled back', '{}');
SELECT count(*) FROM vm_quarantine WHERE _id = 'rolled back';
ROLLBACK;
SELECT count(*) FROM vm_quarantine WHERE _id = 'rolled back';

--
-- A good version settles the quarantined one
--
INSERT INTO shop (_id, _doc) VALUES ('number', '{"id": "b", "amount": 5}');
UPDATE shop SET _doc = '{"id": "a", "amount": 7}' WHERE _id = 'good 1';
SELECT _id, settled_at IS NOT NULL AS settled, settled_by FROM vm_quarantine WHERE _id IN ('number', 'good 1') ORDER BY _id;
-- In one statement: bad, then good; and good, then bad.
INSERT INTO shop (_id, _doc) VALUES ('both', '{"id": 1, "amount": "x"}'), ('both', '{"id": 1, "amount": 1}');
SELECT _id, settled_by FROM vm_quarantine WHERE _id = 'both';
-- A late document is no good version of a newer one that waits in quarantine.
INSERT INTO shop (_id, _doc) VALUES ('late', '{"id": "v2", "changed": 2000}');
UPDATE shop SET _doc = '{"id": "v3", "changed": 3000, "amount": "x"}' WHERE _id = 'late';
UPDATE shop SET _doc = '{"id": "v1", "changed": 1000}' WHERE _id = 'late';
INSERT INTO shop (_id, _doc) VALUES ('late', '{"id": "v0", "changed": 500}') ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
SELECT s.id, q.settled_by FROM shop s JOIN vm_quarantine q USING (_id) WHERE _id = 'late';
-- Two versions wait, the second is the one to have.
INSERT INTO shop (_id, _doc) VALUES ('two', '{"id": "v1"}'), ('two bad', '{"id": "v1", "amount": "x"}'), ('two bad', '{"id": "v2", "amount": "y"}');
UPDATE shop SET _doc = '{"id": "v2", "amount": "x"}' WHERE _id = 'two';
UPDATE shop SET _doc = '{"id": "v3", "amount": "y"}' WHERE _id = 'two';

--
-- Retry, after the mapping was mended
--
SELECT * FROM vm_retry_quarantine('shop');
SELECT _id, attempts FROM open_cases;
SELECT vm_define_mapping('shop', '{"on_error": "quarantine", "watermark": "changed", "columns": {
    "id": {"default": "none"}, "state": {"ignore": true}, "changed": {"from": "modified"}, "amount": {"from": "count"}}}');
SELECT * FROM vm_retry_quarantine();
SELECT _id, id, amount, state, code FROM shop ORDER BY _id;
SELECT _id, message, attempts FROM open_cases;
SELECT _id, settled_by FROM vm_quarantine WHERE settled_at IS NOT NULL ORDER BY quarantine_id;
-- With nothing to do, and for a child that is gone.
CREATE TABLE gone (LIKE shop);
CREATE TRIGGER t BEFORE INSERT ON gone FOR EACH ROW EXECUTE FUNCTION vm_transform('shop');
INSERT INTO gone (_id, _doc) VALUES ('1', '[]');
SELECT * FROM vm_retry_quarantine('gone');
DROP TABLE gone;
SELECT * FROM vm_retry_quarantine('shop');
SELECT * FROM vm_retry_quarantine();
DELETE FROM vm_quarantine;

--
-- NULL _id, no _id column, a domain over text, jsonb documents
--
SELECT vm_define_mapping('plain', '{"on_error": "quarantine"}');
CREATE TABLE nameless (amount integer, _doc jsonb);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON nameless FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
INSERT INTO nameless (_doc) VALUES ('{"_id": {"$oid": "5dea38507b0b3a0012345678"}, "amount": "x"}'), ('{"_id": 2, "amount": "x"}'), ('{"amount": "x"}');
SELECT child, _id, _doc, operation, field FROM vm_quarantine ORDER BY quarantine_id;
INSERT INTO nameless (_doc) VALUES ('{"_id": {"$oid": "5dea38507b0b3a0012345678"}, "amount": 1}');
SELECT _id, settled_by FROM vm_quarantine ORDER BY quarantine_id;
SELECT vm_define_mapping('plain', '{"on_error": "quarantine", "columns": {"amount": {"ignore": true}}}');
SELECT * FROM vm_retry_quarantine('nameless');
SELECT * FROM nameless ORDER BY _doc;
-- Which row an update was for nobody knows: it does not become another row.
SELECT vm_define_mapping('plain', '{"on_error": "quarantine"}');
UPDATE nameless SET _doc = '{"_id": 2, "amount": "y"}' WHERE _doc @> '{"_id": 2}';
SELECT vm_define_mapping('plain', '{"on_error": "quarantine", "columns": {"amount": {"ignore": true}}}');
SELECT settled FROM vm_retry_quarantine('nameless');
SELECT count(*) FROM nameless WHERE _doc @> '{"_id": 2}';
DROP TABLE nameless;
DELETE FROM vm_quarantine;

--
-- What cannot be mended is given up, in words
--
SELECT vm_define_mapping('plain', '{"on_error": "quarantine"}');
CREATE TABLE given_up (amount integer, _id text, _doc text);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON given_up FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
INSERT INTO given_up (_id, _doc) VALUES ('1', '{"amount": "x"}'), ('2', '{"amount": "x"}');
SELECT min(quarantine_id) AS id, max(quarantine_id) AS other FROM vm_quarantine \gset
SELECT vm_settle_quarantine(:id, NULL);
SELECT vm_settle_quarantine(NULL, 'x');
SELECT vm_settle_quarantine(:id, '');
SELECT vm_settle_quarantine(:id, E' \n');
SELECT vm_settle_quarantine(-1, 'x');
SELECT vm_settle_quarantine(:id, 'deleted at the source, ticket 4711');
DO $$ BEGIN
    PERFORM vm.vm_settle_quarantine((SELECT min(quarantine_id) FROM vm.vm_quarantine), 'once more');
EXCEPTION WHEN OTHERS THEN
    RAISE INFO '%', sqlstate;
END $$;
SELECT child, child_name, _id, settled_at IS NOT NULL AS settled, settled_by, decided_by = current_user AS by_me, decision, _doc
FROM vm_quarantine ORDER BY quarantine_id;
-- It is not sent again; brought again by the feed it is another case.
SELECT * FROM vm_retry_quarantine('given_up');
INSERT INTO given_up (_id, _doc) VALUES ('1', '{"amount": "x"}');
SELECT _id, settled_by, decision FROM vm_quarantine ORDER BY quarantine_id;
-- A table that is gone leaves its name.
DROP TABLE given_up;
SELECT child::text ~ '^[0-9]+$' AS a_number, child_name FROM vm_quarantine WHERE quarantine_id = :id;
SELECT vm_settle_quarantine(:other, 'the table is gone');
DELETE FROM vm_quarantine;

-- Arrays and unmapped fields of a bad document; a million bytes of it.
SELECT vm_define_mapping('plain', '{"on_error": "quarantine", "unmapped": "info", "columns": {"checked": {"ignore": true}}}');
CREATE TABLE arrays (codes short_code[], info jsonb, checked integer, _id text, _doc json);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON arrays FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
INSERT INTO arrays (_id, _doc) VALUES ('1', '{"codes": ["ok", "bad"], "more": 1}'::json), ('2', '{"codes": "ok"}'),
    ('3', ('{"codes": [{"$oid": "x"}], "filler": "' || repeat('x', 1000000) || '"}')::json);
SELECT _id, length(_doc), sqlstate, message, field, column_name FROM vm_quarantine ORDER BY quarantine_id;
DROP TABLE arrays;
DELETE FROM vm_quarantine;

-- Unique keys are asked in their own index, each once a row: not in another one that is as long as the load.
SELECT vm_define_mapping('plain', '{"on_error": "quarantine"}');
CREATE TABLE keyed (tenant text, code varchar(9), place name, _id text PRIMARY KEY, _doc text);
CREATE INDEX keyed_tenant ON keyed (tenant, _id);
CREATE UNIQUE INDEX keyed_code ON keyed (tenant, code);
CREATE UNIQUE INDEX keyed_place ON keyed (place DESC);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON keyed FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
BEGIN;
INSERT INTO keyed (_id, _doc) SELECT n, format('{"tenant": "t", "code": "c%s", "place": "p%s"}', n, n % 200) FROM generate_series(0, 200) n;
SELECT pg_stat_get_xact_numscans('keyed_tenant'::regclass) AS tenant, pg_stat_get_xact_numscans('keyed_code'::regclass) AS code,
    pg_stat_get_xact_numscans('keyed_place'::regclass) AS place;
COMMIT;
-- A key that its own row has, that was given up in this transaction, that a NULL takes no part in, that is taken.
UPDATE keyed SET _doc = replace(_doc, '"c1"', '"c1", "more": 1') WHERE _id = '1';
BEGIN;
DELETE FROM keyed WHERE _id = '2';
UPDATE keyed SET _doc = '{"tenant": "t", "code": "x", "place": "p3"}' WHERE _id = '3';
INSERT INTO keyed (_id, _doc) VALUES ('a', '{"tenant": "t", "code": "c2", "place": "p2"}'), ('b', '{"tenant": "t", "code": "c3", "place": "other"}'),
    ('c', '{"tenant": "t", "code": null}'), ('d', '{"tenant": "t", "code": null}'), ('e', '{"tenant": "t", "code": "c4"}');
COMMIT;
SELECT tenant, code, place, _id FROM keyed WHERE _id IN ('1', '2', '3') OR _id > '999' ORDER BY _id;
SELECT _id, sqlstate, message FROM vm_quarantine ORDER BY quarantine_id;
DROP TABLE keyed;

DROP VIEW open_cases;
DROP TABLE shop;
DROP TYPE colour;
DROP DOMAIN short_code;
DELETE FROM vm_mapping WHERE NOT shipped;
DELETE FROM vm_quarantine;
DELETE FROM vm_anomaly;
