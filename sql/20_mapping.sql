SET search_path = vm, public;
\pset null '<NULL>'
\set SHOW_CONTEXT never

--
-- vm_define_mapping: good rules, replaced
--
SELECT vm_define_mapping('shop', '{}');
SELECT vm_define_mapping('shop', '{"columns": {"name": {"from": "title"}}}');
SELECT mapping, shipped, rules, defined_by = current_user AS mine FROM vm_mapping WHERE mapping = 'shop';
SELECT vm_define_mapping('shop', '{"columns": {"name": {"from": "name"}}, "watermark": "changed", "unmapped": "rest", "on_error": "quarantine"}');
SELECT vm_define_mapping('ünïcode "quoted" name', '{}');
SELECT mapping, rules FROM vm_mapping WHERE NOT shipped ORDER BY mapping COLLATE "C";

--
-- Bad rules are refused, naming the key
--
SELECT vm_define_mapping('bad', '[]');
SELECT vm_define_mapping('bad', '"x"');
SELECT vm_define_mapping('bad', 'null');
SELECT vm_define_mapping('bad', '{"collumns": {}}');
SELECT vm_define_mapping('bad', '{"columns": []}');
SELECT vm_define_mapping('bad', '{"columns": {"a": "b"}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"form": "b"}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"from": 5}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"from": []}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"from": [1]}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"from": ""}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"as": "magic"}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"as": 1}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"default": {"arg": 0}}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"default": {"arg": "1"}}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"default": {"arg": 1.5}}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"floor": {}}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"floor": "count"}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"floor": {"count": 1.5}}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"floor": {"count": "0"}}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"normalize": 1}}}');
SELECT vm_define_mapping('bad', '{"columns": {"a": {"ignore": "yes"}}}');
SELECT vm_define_mapping('bad', '{"watermark": []}');
SELECT vm_define_mapping('bad', '{"watermark": {"a": 1}}');
SELECT vm_define_mapping('bad', '{"unmapped": true}');
SELECT vm_define_mapping('bad', '{"on_error": "ignore"}');
SELECT vm_define_mapping('bad', '{"on_error": null}');
-- Nothing missing passes in silence.
CREATE FUNCTION refused(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN false;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlerrm <> '';
END $$;
SELECT s AS statement, refused(s) FROM unnest(ARRAY[
    $$SELECT vm_define_mapping('', '{}')$$, $$SELECT vm_define_mapping(NULL, '{}')$$, $$SELECT vm_define_mapping('bad', NULL)$$,
    $$SELECT vm_drop_mapping(NULL)$$, $$SELECT * FROM vm_explain_mapping(NULL, 'vm_mapping')$$,
    $$SELECT * FROM vm_explain_mapping('voucher', NULL)$$]) s;
DROP FUNCTION refused(text);
SELECT count(*) FROM vm_mapping WHERE mapping IN ('bad', '');
-- Also by the back door.
INSERT INTO vm_mapping (mapping, rules) VALUES ('bad', '{"collumns": {}}');
UPDATE vm_mapping SET rules = '{"on_error": "x"}' WHERE mapping = 'shop';

--
-- vm_drop_mapping
--
SELECT vm_drop_mapping('nothing');
SELECT vm_drop_mapping('voucher');
SELECT vm_drop_mapping('ünïcode "quoted" name');
-- A definition of a shipped name goes before it, and dropping it brings the shipped one back.
SELECT vm_define_mapping('campaign', '{"columns": {"name": {"default": "unnamed"}}}');
SELECT mapping, shipped, rules ? 'watermark' AS has_watermark FROM vm_mapping WHERE mapping = 'campaign' ORDER BY shipped;
SELECT vm_drop_mapping('campaign');
SELECT mapping, shipped, rules ? 'watermark' AS has_watermark FROM vm_mapping WHERE mapping = 'campaign' ORDER BY shipped;

--
-- vm_explain_mapping
--
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN short_code AS varchar(6) CHECK (VALUE <> 'bad');
CREATE TABLE shown (
    _id text,
    _doc jsonb,
    gone integer,
    serial_id integer GENERATED ALWAYS AS IDENTITY,
    name text,
    twice integer GENERATED ALWAYS AS (length(name) * 2) STORED,
    unit_price numeric(10,2),
    changed timestamptz,
    code short_code,
    tags text[],
    state colour,
    flags integer[],
    created date,
    note varchar(20) DEFAULT 'none',
    tenant text,
    info jsonb,
    rest jsonb,
    left_out boolean
);
ALTER TABLE shown DROP COLUMN gone;
SELECT vm_define_mapping('shop', '{
  "columns": {
    "name":     {"from": ["title", "names.0", "deep.a\\.b"], "default": "nameless"},
    "created":  {"from": "_id", "as": "objectid_time"},
    "tenant":   {"default": {"arg": 1}},
    "info":     {"normalize": true, "default": {"n": 1}, "floor": {"n": 0, "m": 7}},
    "left_out": {"ignore": true}
  },
  "watermark": "changed", "unmapped": "rest"}');
SELECT * FROM vm_explain_mapping('shop', 'shown');
SELECT * FROM vm_explain_mapping('nothing', 'shown');

--
-- Refused when attached, naming the key
--
CREATE TABLE attached (_id text, _doc text, n integer, t text, j jsonb, js jsonb[], at timestamptz, ats timestamptz[],
                       g text GENERATED ALWAYS AS ('x') STORED);
CREATE TRIGGER vm BEFORE INSERT OR UPDATE OF _doc ON attached
    FOR EACH ROW EXECUTE FUNCTION vm_transform('attach', 'TENANT');
INSERT INTO attached (_id, _doc) VALUES ('1', '{}');
CREATE FUNCTION try(rules jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    PERFORM vm.vm_define_mapping('attach', rules);
    INSERT INTO vm.attached (_id, _doc) VALUES ('1', '{}');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = pg_exception_detail, hint = pg_exception_hint;
    RAISE INFO E'% %\n  %\n  %', sqlstate, sqlerrm, detail, hint;
END $$;
SELECT try('{"columns": {"missing": {}}}');
SELECT try('{"columns": {"_id": {"from": "x"}}}');
SELECT try('{"columns": {"g": {"from": "x"}}}');
SELECT try('{"unmapped": "missing"}');
SELECT try('{"unmapped": "t"}');
SELECT try('{"unmapped": "js"}');
SELECT try('{"unmapped": "j", "columns": {"j": {"ignore": true}}}');
SELECT try('{"watermark": "missing"}');
SELECT try('{"watermark": ["at", "t"]}');
SELECT try('{"watermark": ["ats"]}');
SELECT try('{"watermark": ["at"], "columns": {"at": {"ignore": true}}}');
SELECT try('{"columns": {"n": {"as": "objectid_time"}}}');
SELECT try('{"columns": {"n": {"as": "epoch_seconds"}}}');
SELECT try('{"columns": {"t": {"as": "floor"}}}');
SELECT try('{"columns": {"j": {"as": "json_text"}}}');
SELECT try('{"columns": {"t": {"normalize": true}}}');
SELECT try('{"columns": {"t": {"floor": {"a": 0}}}}');
SELECT try('{"columns": {"n": {"default": "many"}}}');
SELECT try('{"columns": {"at": {"default": "now"}}}');
SELECT try('{"columns": {"t": {"default": {"arg": 2}}}}');
SELECT try('{"columns": {"n": {"default": {"arg": 1}}}}');
SELECT try('{"columns": {"t": {"default": {"arg": 1}}}}');
SELECT t FROM attached;

-- Refused at once: the rules that are in use stay.
SELECT vm_define_mapping('attach', '{"on_error": "quarantine", "columns": {"codee": {"from": "x"}}}');
SELECT rules FROM vm_mapping WHERE mapping = 'attach';
-- What only the column's type can tell.
ALTER TABLE attached ADD COLUMN state colour;
SELECT vm_define_mapping('attach', '{"columns": {"state": {"default": "blue"}}}');
SELECT vm_define_mapping('attach', '{"columns": {"state": {"default": "red"}}}');
-- By the triggers of their own names, and what dropping a definition would bring back.
CREATE TABLE campaigns (_id text, _doc text, name text);
SELECT vm_define_mapping('campaign', '{}');
CREATE TRIGGER vm BEFORE INSERT OR UPDATE OF _doc ON campaigns FOR EACH ROW EXECUTE FUNCTION transform_campaign('T', 'P');
SELECT vm_define_mapping('campaign', '{"columns": {"code": {}}}');
SELECT vm_drop_mapping('campaign');
SELECT mapping, rules FROM vm_mapping WHERE mapping = 'campaign' AND NOT shipped;
-- Of tables that inherit each may have columns of its own.
CREATE TABLE campaigns_too (code text) INHERITS (campaigns);
CREATE TRIGGER vm BEFORE INSERT ON campaigns_too FOR EACH ROW EXECUTE FUNCTION vm_transform('too');
CREATE TABLE campaigns_three () INHERITS (campaigns);
CREATE TRIGGER vm BEFORE INSERT ON campaigns_three FOR EACH ROW EXECUTE FUNCTION vm_transform('too');
SELECT vm_define_mapping('too', '{"columns": {"code": {}}}');
DROP TABLE campaigns_three;
SELECT vm_define_mapping('too', '{"columns": {"code": {}}}');
DROP TABLE campaigns CASCADE;
SELECT vm_drop_mapping('campaign');

-- A mapping in use is not dropped.
SELECT vm_drop_mapping('attach');
DROP TRIGGER vm ON attached;
SELECT vm_drop_mapping('attach');

-- Trigger definitions that cannot work.
SELECT vm_transform();
CREATE TRIGGER vm BEFORE INSERT ON attached FOR EACH ROW EXECUTE FUNCTION vm_transform();
INSERT INTO attached (_doc) VALUES ('{}');
DROP TRIGGER vm ON attached;
CREATE TRIGGER vm AFTER INSERT ON attached FOR EACH ROW EXECUTE FUNCTION vm_transform('voucher');
INSERT INTO attached (_doc) VALUES ('{}');
DROP TRIGGER vm ON attached;
CREATE TRIGGER vm BEFORE INSERT ON attached FOR EACH STATEMENT EXECUTE FUNCTION transform_voucher('T', 'P');
INSERT INTO attached (_doc) VALUES ('{}');
DROP TRIGGER vm ON attached;
CREATE TRIGGER vm BEFORE DELETE ON attached FOR EACH ROW EXECUTE FUNCTION transform_campaign('T', 'P');
DELETE FROM attached;
DROP TABLE attached;
CREATE TABLE undocumented (_id text, name text);
CREATE TRIGGER vm BEFORE INSERT ON undocumented FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
SELECT vm_define_mapping('plain', '{}');
INSERT INTO undocumented (_id) VALUES ('1');
ALTER TABLE undocumented ADD COLUMN _doc bytea;
INSERT INTO undocumented (_id, _doc) VALUES ('1', '{}');
-- That is no fault of the mapping.
SELECT vm_define_mapping('plain', '{"watermark": []}');
SELECT vm_define_mapping('plain', '{}');
ALTER TABLE undocumented ALTER COLUMN _doc TYPE char(10) USING '';
INSERT INTO undocumented (_id, _doc) VALUES ('1', '{}');
DROP TABLE undocumented;

--
-- Compiled plans follow the mapping and the table, within a session
--
CREATE TABLE living (_id text PRIMARY KEY, _doc text, name text);
CREATE TRIGGER vm BEFORE INSERT OR UPDATE OF _doc ON living
    FOR EACH ROW EXECUTE FUNCTION vm_transform('living');
SELECT vm_define_mapping('living', '{}');
INSERT INTO living (_id, _doc) VALUES ('1', '{"name": "n", "title": "t", "price": 5}');
SELECT vm_define_mapping('living', '{"columns": {"name": {"from": "title"}}}');
INSERT INTO living (_id, _doc) VALUES ('2', '{"name": "n", "title": "t", "price": 5}');
ALTER TABLE living ADD COLUMN price integer;
INSERT INTO living (_id, _doc) VALUES ('3', '{"name": "n", "title": "t", "price": 5}');
ALTER TABLE living ALTER COLUMN price TYPE text;
INSERT INTO living (_id, _doc) VALUES ('4', '{"name": "n", "title": "t", "price": 5}');
ALTER TABLE living RENAME COLUMN price TO title;
INSERT INTO living (_id, _doc) VALUES ('5', '{"name": "n", "title": "t", "price": 5}');
ALTER TABLE living DROP COLUMN title;
INSERT INTO living (_id, _doc) VALUES ('6', '{"name": "n", "title": "t", "price": 5}');
SELECT * FROM living ORDER BY _id;
-- In one transaction, taken back with it.
BEGIN;
SELECT vm_define_mapping('living', '{"columns": {"name": {"from": "price"}}}');
INSERT INTO living (_id, _doc) VALUES ('7', '{"name": "n", "title": "t", "price": 5}');
SELECT name FROM living WHERE _id = '7';
ROLLBACK;
INSERT INTO living (_id, _doc) VALUES ('8', '{"name": "n", "title": "t", "price": 5}');
SELECT name FROM living WHERE _id = '8';
-- In the middle of a statement.
CREATE FUNCTION redefine() RETURNS text VOLATILE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM vm.vm_define_mapping('living', '{"columns": {"name": {"default": "redefined"}}}');
    RETURN '{}';
END $$;
INSERT INTO living (_id, _doc)
SELECT i::text, CASE i WHEN 11 THEN redefine() ELSE '{"title": "t"}' END FROM generate_series(10, 12) i;
SELECT _id, name FROM living WHERE _id >= '10' AND length(_id) = 2 ORDER BY _id;
-- Written directly, and renamed.
UPDATE vm_mapping SET rules = '{"columns": {"name": {"from": "name"}}}' WHERE mapping = 'living';
INSERT INTO living (_id, _doc) VALUES ('20', '{"name": "n", "title": "t"}');
SELECT name FROM living WHERE _id = '20';
DELETE FROM vm_mapping WHERE mapping = 'living';
INSERT INTO living (_id, _doc) VALUES ('21', '{"name": "n", "title": "t"}');

-- Rows that are there stay as the former rules made them, which a NOTICE says; nothing if nothing changes.
CREATE TABLE staged (_id text PRIMARY KEY, _doc text, name text, changed_at timestamptz);
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON staged FOR EACH ROW EXECUTE FUNCTION vm_transform('staged');
SELECT vm_define_mapping('staged', '{"watermark": ["changed_at"]}');
INSERT INTO staged (_id, _doc) VALUES ('1', '{"name": "n", "title": "t", "later": 1, "changed_at": {"$date": 0}}'), ('2', '{"name": "m", "title": "u", "changed_at": {"$date": 0}}');
SELECT vm_define_mapping('staged', '{"watermark": ["changed_at"]}');
SELECT vm_define_mapping('staged', '{"watermark": ["changed_at"], "columns": {"name": {"from": "title"}}}');
ALTER TABLE staged ADD COLUMN later integer;
UPDATE staged SET _doc = _doc;
SELECT * FROM staged ORDER BY _id;
-- Made anew; what was written without a newer watermark is taken back.
UPDATE staged SET name = 'written' WHERE _id = '1';
UPDATE staged SET name = 'written and stamped', changed_at = '2020-01-01' WHERE _id = '2';
UPDATE ONLY staged SET _doc = _doc || ' ';
SELECT _id, name, changed_at, later FROM staged ORDER BY _id;

DELETE FROM vm_anomaly;
DROP TABLE living, shown, staged;
DROP TYPE colour;
DROP DOMAIN short_code;
DROP FUNCTION try(jsonb), redefine();
DELETE FROM vm_mapping WHERE NOT shipped;
