SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'

CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN short_code AS varchar(6) CHECK (VALUE <> 'bad');
CREATE TABLE shown (
    tenant_id text NOT NULL, id text NOT NULL, price numeric(6,2), changed timestamptz, tags text[], state colour, code short_code,
    codes short_code[], publish jsonb, size integer GENERATED ALWAYS AS (length(id)) STORED, note text DEFAULT 'none', rest jsonb,
    _id text, _doc text
);
SELECT vm_define_mapping('shop', '{
  "columns": {
    "tenant_id": {"default": {"arg": 1}},
    "id":        {"from": ["key", "names.0"]},
    "publish":   {"default": {}, "floor": {"count": 0}}
  },
  "watermark": "changed", "unmapped": "rest"}');

-- A good one.
SELECT * FROM vm_preview('shop', 'shown', '{"_id": {"$oid": "5dea38507b0b3a0012345678"}, "names": ["first"], "price": {"$numberDecimal": "12.345"},
    "changed": {"$date": 1575648464123}, "tags": ["a", null, "b c"], "state": "red", "code": "ok", "codes": ["x", null], "more": {"x": 1}}', 'TENANT');
-- Everything wrong with another: a row each, no error.
SELECT * FROM vm_preview('shop', 'shown', '{"price": "cheap", "changed": "tomorrow", "tags": {"a": 1}, "state": "blue", "code": "bad", "codes": ["ok", "1234567"],
    "publish": {"count": []}, "note": {"$oid": "short"}}', 'TENANT') WHERE column_name <> 'rest';
-- An empty one.
SELECT * FROM vm_preview('shop', 'shown', '{}', 'TENANT');
-- Not to be read at all.
SELECT * FROM vm_preview('shop', 'shown', '{"price": 12', 'TENANT');
SELECT * FROM vm_preview('shop', 'shown', '', 'TENANT');
SELECT * FROM vm_preview('shop', 'shown', '[]', 'TENANT');
SELECT * FROM vm_preview('shop', 'shown', '{"note": "a\u0000b"}', 'TENANT');
SELECT problem FROM vm_preview('shop', 'shown', '{"note": ' || repeat('[', 1000000) || repeat(']', 1000000) || '}', 'TENANT');
-- Arguments: too few, as an array, NULL.
SELECT * FROM vm_preview('shop', 'shown', '{}');
SELECT column_name, value, source FROM vm_preview('shop', 'shown', '{}', VARIADIC ARRAY['T', 'P', 'X']) WHERE column_name = 'tenant_id';
SELECT * FROM vm_preview('nothing', 'shown', '{}');
SELECT * FROM vm_preview('shop', 'nothing', '{}');
SELECT * FROM vm_preview('shop', 'shown', NULL, 'T');
SELECT * FROM vm_preview(NULL, 'shown', '{}', 'T');
-- A parent, before it has a child.
SELECT * FROM vm_preview('shop', 'vm.shown', '{"key": "k"}', 'T') WHERE value IS NOT NULL;
-- A problem is a row also inside a transaction that goes on, and nothing is written.
BEGIN;
SELECT count(*) FROM vm_preview('shop', 'shown', '{"state": "blue"}', 'T') WHERE problem IS NOT NULL;
SELECT count(*) FROM shown;
COMMIT;
BEGIN READ ONLY;
SELECT count(*) FROM vm_preview('shop', 'shown', '{"state": "red"}', 'T') WHERE problem IS NOT NULL;
COMMIT;

DROP TABLE shown;
DROP TYPE colour;
DROP DOMAIN short_code;
DELETE FROM vm_mapping WHERE NOT shipped;
