SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
SET bytea_output = 'hex';
\pset null '<NULL>'
\set SHOW_CONTEXT always

--
-- A table of the article's shape
--
CREATE TABLE article (
    tenant_id text NOT NULL,
    project_id text NOT NULL,
    id text NOT NULL,
    code text,
    deleted boolean NOT NULL,
    discount jsonb,
    publish jsonb,
    validity_day_of_week integer[],
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz,
    _id varchar(200),
    _doc text
);
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON article
    FOR EACH ROW EXECUTE FUNCTION transform_voucher('TENANT', 'PROJECT');
INSERT INTO article (_id, _doc) VALUES ('5dea38507b0b3a0012345678',
    '{"_id":{"$oid":"5dea38507b0b3a0012345678"},"id":"v_1","code":"ABC","deleted":false,'
    '"discount":{"type":"AMOUNT","amount_off":{"$numberLong":"1000"}},"publish":{"object":"list","count":"1.00001","entries":[]},'
    '"validity_day_of_week":[1,2,"3"],"updated_at":{"$date":1575648464999},"deletedAt":null}');
\x on
SELECT * FROM article;
\x off
-- COPY; the whole document is one line.
COPY article (_id, _doc) FROM stdin;
2	{"id": "v_2", "code": "tab\\tand \\"quotes\\"", "updated_at": {"$date": "2020-01-01T00:00:00.5+01:00"}}
3	{"id": "v_3", "code": "ü€😀", "updated_at": 1577836800001}
\.
SELECT _id, id, code, updated_at FROM article WHERE _id IN ('2', '3') ORDER BY _id;
-- The trigger of campaigns is the same with other rules.
CREATE TABLE campaigns (tenant_id text, project_id text, id text, name text, deleted boolean, created_at timestamptz,
                        deleted_at timestamptz, updated_at timestamptz, publish jsonb, _id text, _doc text);
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON campaigns
    FOR EACH ROW EXECUTE FUNCTION transform_campaign('TENANT', 'PROJECT');
INSERT INTO campaigns (_id, _doc) VALUES ('1', '{"_id": {"$oid": "5dea38507b0b3a0012345678"}, "name": "n"}');
SELECT * FROM campaigns;

--
-- _doc of each type, with and without _id
--
SELECT vm_define_mapping('plain', '{}');
DO $$
DECLARE
    type text;
BEGIN
    FOREACH type IN ARRAY '{text,varchar,varchar(1000),json,jsonb}'::text[] LOOP
        EXECUTE format('CREATE TABLE vm.%I (a integer, b text, _id text, _doc %s)', 'doc ' || type, type);
        EXECUTE format('CREATE TABLE vm.%I (a integer, b text, _doc %s)', 'no id ' || type, type);
        EXECUTE format('CREATE TRIGGER t BEFORE INSERT OR UPDATE ON vm.%I FOR EACH ROW EXECUTE FUNCTION vm.vm_transform(''plain'')', 'doc ' || type);
        EXECUTE format('CREATE TRIGGER t BEFORE INSERT OR UPDATE ON vm.%I FOR EACH ROW EXECUTE FUNCTION vm.vm_transform(''plain'')', 'no id ' || type);
        EXECUTE format('INSERT INTO vm.%I (_id, _doc) VALUES (''1'', ''{"a": 1.0, "b": 1.50, "a": 2}'')', 'doc ' || type);
        EXECUTE format('INSERT INTO vm.%I (_doc) VALUES (''{"b": "x"}'')', 'no id ' || type);
        EXECUTE format('UPDATE vm.%I SET _doc = ''{"a": 3}''', 'no id ' || type);
    END LOOP;
END $$;
SELECT * FROM "doc text" UNION ALL SELECT * FROM "doc varchar" UNION ALL SELECT * FROM "doc varchar(1000)" UNION ALL
SELECT a, b, _id, _doc::text FROM "doc json" UNION ALL SELECT a, b, _id, _doc::text FROM "doc jsonb";
SELECT * FROM "no id text" UNION ALL SELECT * FROM "no id varchar" UNION ALL SELECT * FROM "no id varchar(1000)" UNION ALL
SELECT a, b, _doc::text FROM "no id json" UNION ALL SELECT a, b, _doc::text FROM "no id jsonb";
-- A document without an _id column beside it is known by its own _id.
INSERT INTO "no id jsonb" (_doc) VALUES ('{"_id": {"$oid": "5dea38507b0b3a0012345678"}, "a": "many"}');
INSERT INTO "no id text" (_doc) VALUES ('{"_id": 17, "a": "many"}');
INSERT INTO "no id text" (_doc) VALUES ('{"a": "many"}');
DROP TABLE "doc text", "doc varchar", "doc varchar(1000)", "doc json", "doc jsonb",
    "no id text", "no id varchar", "no id varchar(1000)", "no id json", "no id jsonb";

--
-- Every type of column
--
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TYPE pair AS (x integer, y integer);
CREATE DOMAIN short_code AS varchar(6) CHECK (VALUE <> 'bad');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN must AS text NOT NULL;
CREATE DOMAIN instant AS timestamptz(3);
CREATE TABLE typed (
    _id text, _doc text,
    c_text text, c_varchar varchar, c_varchar5 varchar(5), c_char3 char(3), c_name name,
    c_bool boolean, c_int2 smallint, c_int4 integer, c_int8 bigint, c_float4 real, c_float8 double precision,
    c_numeric numeric, c_numeric62 numeric(6,2),
    c_timestamptz timestamptz, c_timestamptz0 timestamptz(0), c_timestamp timestamp, c_date date, c_time time, c_time0 time(0),
    c_uuid uuid, c_bytea bytea, c_json json, c_jsonb jsonb,
    c_enum colour, c_code short_code, c_positive positive, c_instant instant,
    c_interval interval, c_inet inet, c_point point, c_pair pair, c_range int4range, c_bit bit(3)
);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON typed FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
-- A document through the trigger, then the columns that are not NULL.
CREATE FUNCTION put(doc text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    DELETE FROM vm.typed;
    INSERT INTO vm.typed (_id, _doc) VALUES ('id', doc);
    SELECT jsonb_object_agg(key, value)::text FROM vm.typed t, jsonb_each(to_jsonb(t) - '{_id,_doc}'::text[])
    WHERE value <> 'null' INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
CREATE FUNCTION try(docs text) RETURNS TABLE (document text, outcome text) LANGUAGE sql AS $$
    SELECT d, vm.put(d) FROM regexp_split_to_table(trim(docs, E'\n'), E'\n') d
$$;

\x on
INSERT INTO typed (_id, _doc) VALUES ('all', '{
    "c_text": "t", "c_varchar": "v", "c_varchar5": "12345", "c_char3": "a", "c_name": "n", "c_bool": true, "c_int2": -32768, "c_int4": 2147483647,
    "c_int8": 9223372036854775807, "c_float4": 1.5, "c_float8": 0.1, "c_numeric": 123456789012345678901234567890.1234567890,
    "c_numeric62": 1234.565, "c_timestamptz": "2020-02-29T12:00:00.123456+02:00", "c_timestamptz0": 1575648464500, "c_timestamp": {"$date": 1575648464123},
    "c_date": {"$date": 1575648464123}, "c_time": "12:34:56.789", "c_time0": "12:34:56.789", "c_uuid": {"$uuid": "c8edabc3-f738-4ca3-b68d-ab92a91478a3"},
    "c_bytea": {"$binary": {"base64": "AAEC/w==", "subType": "00"}}, "c_json": {"b": 1.0,  "a": [1, 2]}, "c_jsonb": {"b": 1.0,  "a": [1, 2], "b": 2.50},
    "c_enum": "green", "c_code": "ok", "c_positive": 5, "c_instant": "2020-01-01T00:00:00.123456Z", "c_interval": "1 day 2 hours",
    "c_inet": "10.0.0.1/8", "c_point": "(1,2)", "c_pair": "(1,2)", "c_range": "[1,5)", "c_bit": "101"}');
SELECT * FROM typed;
\x off

\pset format unaligned
-- Text and its kin.
SELECT * FROM try('
{"c_text": "", "c_varchar5": "", "c_char3": ""}
{"c_text": 12.50, "c_varchar": 1e2, "c_varchar5": -0, "c_name": true}
{"c_text": {"b":1,"a":2}, "c_varchar": [1,  2]}
{"c_text": {"$oid": "5dea38507b0b3a0012345678"}, "c_varchar": {"$numberLong": "7"}}
{"c_text": {"$date": 1575648464123}, "c_varchar": {"$regularExpression": {"pattern": "a.b", "options": "i"}}}
{"c_text": {"$symbol": "s"}, "c_varchar": {"$undefined": true}}
{"c_text": {"$oid": "short"}}
{"c_varchar5": "123456"}
{"c_varchar5": "12345   "}
{"c_char3": "abcd"}
{"c_name": "a name that is longer than sixty-three bytes is cut, as the type itself does it"}
{"c_text": "\u00e9\"\\\/\b\f\n\r\t\ud83d\ude00"}
{"c_text": "a\u0000b"}
{"c_text": "\ud800"}
');
-- Numbers.
SELECT * FROM try('
{"c_int2": 32768}
{"c_int4": -2147483649}
{"c_int8": 9223372036854775808}
{"c_int4": "12", "c_int2": " 7 ", "c_int8": {"$numberLong": "-5"}}
{"c_int4": 1e3, "c_int8": 1.0, "c_int2": 120e-1}
{"c_int4": 1.5}
{"c_int4": true}
{"c_int4": ""}
{"c_int4": "0x10"}
{"c_int4": [1]}
{"c_int4": {"$numberDouble": "NaN"}}
{"c_int8": 1e400}
{"c_float8": 1e30, "c_float4": "3.5"}
{"c_float8": 1e309}
{"c_float4": 1e39}
{"c_float8": "NaN", "c_float4": {"$numberDouble": "-Infinity"}}
{"c_float8": 0.30000000000000004, "c_float4": 0.1}
{"c_numeric": 1e30, "c_numeric62": 0.005}
{"c_numeric": {"$numberDecimal": "1.10"}, "c_numeric62": {"$numberDecimal": "1.105"}}
{"c_numeric": {"$numberDouble": "Infinity"}}
{"c_numeric": {"$numberDecimal": "NaN"}}
{"c_numeric62": 10000}
{"c_numeric62": 9999.995}
{"c_numeric": "abc"}
{"c_bool": "yes", "c_int4": null}
{"c_bool": 2}
{"c_bool": {"$numberInt": "1"}}
');
-- Times.
SELECT * FROM try('
{"c_timestamptz": "2019-12-06T16:07:44.123+02:00", "c_timestamp": "2019-12-06T16:07:44.123+02:00", "c_date": "2019-12-06T23:30:00-02:00"}
{"c_timestamptz": "2019-12-06", "c_timestamp": "2019-12-06 16:07:44", "c_date": "2019-12-06"}
{"c_timestamptz": {"$timestamp": {"t": 1575648464, "i": 1}}, "c_timestamp": {"$oid": "5dea38507b0b3a0012345678"}}
{"c_timestamptz": {"$minKey": 1}, "c_date": {"$maxKey": 1}}
{"c_timestamptz": {"$date": {"$numberLong": "-62135596800000"}}, "c_date": {"$date": -62135596800001}}
{"c_timestamptz": "infinity"}
{"c_timestamptz": "now"}
{"c_date": "today"}
{"c_timestamp": "epoch"}
{"c_timestamptz": "2019-02-29"}
{"c_timestamptz": "06/12/2019"}
{"c_timestamptz": {"$date": 9224318016000000}}
{"c_timestamptz0": 1575648464499, "c_instant": "2020-01-01T00:00:00.1235Z"}
{"c_time": "24:00:00", "c_time0": "23:59:59.5"}
{"c_time": {"$date": 1575648464123}}
{"c_time": "25:00"}
{"c_time": "now"}
{"c_time": 5}
{"c_interval": "P1DT2H", "c_range": "empty"}
{"c_interval": "soon"}
');
-- uuid, bytea, json.
SELECT * FROM try('
{"c_uuid": "C8EDABC3F7384CA3B68DAB92A91478A3", "c_bytea": "\\x0102"}
{"c_uuid": {"$binary": {"base64": "yO2rw/c4TKO2jauSqRR4ow==", "subType": "04"}}}
{"c_uuid": {"$binary": "yO2rw/c4TKO2jauSqRR4ow==", "$type": "03"}}
{"c_uuid": {"$binary": {"base64": "AAEC", "subType": "04"}}}
{"c_uuid": "{c8edabc3-f738-4ca3-b68d-ab92a91478a3}"}
{"c_uuid": "no uuid"}
{"c_bytea": {"$binary": {"base64": "?", "subType": "00"}}}
{"c_bytea": 5}
{"c_bytea": "\\xzz"}
{"c_json": null, "c_jsonb": null}
{"c_json": "s", "c_jsonb": "s"}
{"c_json": {"d": {"$date": 1}}, "c_jsonb": {"d": {"$date": 1}, "n": {"$numberInt": "1"}}}
{"c_jsonb": {"$undefined": true}}
');
-- Enums, domains and the types that are read by their own input functions.
SELECT * FROM try('
{"c_enum": "blue"}
{"c_enum": null}
{"c_code": "bad"}
{"c_code": "1234567"}
{"c_positive": 0}
{"c_positive": {"$numberInt": "7"}, "c_code": 17}
{"c_inet": "10.0.0.256"}
{"c_inet": {"a": 1}}
{"c_pair": "(1,x)"}
{"c_point": [1, 2]}
{"c_bit": "1010"}
{"c_range": "[5,1]"}
');
\pset format aligned
-- The whole error, with the row's place.
INSERT INTO typed (_id, _doc) VALUES ('e1', '{"c_int4": "many"}');
INSERT INTO typed (_id, _doc) VALUES ('e2', '{"c_enum": "blue"}');
INSERT INTO typed (_id, _doc) VALUES ('e3', '{"c_code": "bad"}');
INSERT INTO typed (_id, _doc) VALUES ('e4', '{"c_int4": 1');
INSERT INTO typed (_id, _doc) VALUES (NULL, '[1]');
INSERT INTO typed (_id, _doc) VALUES ('e5', '{"c_timestamptz": "tomorrow"}');
INSERT INTO typed (_id, _doc) VALUES ('e6', '{"c_int4": "' || repeat('long ', 100) || '"}');
INSERT INTO typed (_id, _doc) VALUES ('e7', '{"c_int4": {"an": "object", "of": ["some", "size"], "more": {"deep": true}}}');
INSERT INTO typed (_id, _doc) VALUES ('e8', '{"c_enum": "' || repeat('long ', 100) || '"}');
DO $$
DECLARE
    c text; t text; s text;
BEGIN
    INSERT INTO vm.typed (_id, _doc) VALUES ('e9', '{"c_int4": "many"}');
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS c = column_name, t = table_name, s = schema_name;
    RAISE INFO 'schema %, table %, column %', s, t, c;
END $$;
DROP TABLE typed;

--
-- Arrays
--
CREATE TABLE typed (_id text, _doc text, ints integer[], texts text[], bools boolean[], times timestamptz[], nums numeric(5,1)[],
                    uuids uuid[], objs jsonb[], jsons json[], colours colour[], codes short_code[], dates date[], floats real[], grid integer[][]);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON typed FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
\x on
INSERT INTO typed (_id, _doc) VALUES ('all', '{
    "ints": [1, "2", 2.5, -0.5, null, {"$numberInt": "7"}], "texts": ["a", null, 1.50, true, {"b": 1}, [1], {"$oid": "5dea38507b0b3a0012345678"}],
    "bools": [true, "no", 1, null], "times": [{"$date": 1575648464123}, "2020-01-01", null, 0], "nums": [1.25, "3", null],
    "uuids": ["c8edabc3-f738-4ca3-b68d-ab92a91478a3", null], "objs": [{"a": 1}, [], "s", 1, null], "jsons": [{"a": 1}, "s", null],
    "colours": ["red", null, "green"], "codes": ["a", null], "dates": ["2020-01-01", null], "floats": [0.1, null], "grid": [1, 2]}');
SELECT * FROM typed;
\x off
\pset format unaligned
SELECT * FROM try('
{"ints": null, "texts": []}
{"ints": {"$undefined": true}}
{"ints": 5}
{"ints": "1,2"}
{"ints": "{1,2}"}
{"ints": {}}
{"ints": [[1, 2]]}
{"grid": [[1, 2], [3, 4]]}
{"ints": [1, true]}
{"ints": [1, 2, "x"]}
{"ints": [2147483647.5]}
{"ints": [1e400]}
{"times": ["now"]}
{"colours": ["red", "blue"]}
{"codes": ["bad"]}
{"nums": [12345]}
{"uuids": ["no"]}
');
\pset format aligned
INSERT INTO typed (_id, _doc) VALUES ('e1', '{"ints": [1, 2, "x"]}');
INSERT INTO typed (_id, _doc) VALUES ('e2', '{"colours": ["red", "blue"]}');
INSERT INTO typed (_id, _doc) VALUES ('e3', '{"ints": 5}');
DROP TABLE typed;

--
-- Generated, identity and dropped columns; columns with a default of their own
--
CREATE TABLE typed (_id text, _doc text, gone integer, number integer GENERATED ALWAYS AS IDENTITY, other integer GENERATED BY DEFAULT AS IDENTITY,
                    name text, length integer GENERATED ALWAYS AS (length(name)) STORED, gone_too text, state text DEFAULT 'new', "from" integer);
ALTER TABLE typed DROP COLUMN gone, DROP COLUMN gone_too, ADD COLUMN last text;
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON typed FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
INSERT INTO typed (_id, _doc) VALUES ('1', '{"number": 7, "other": 7, "name": "abc", "length": 9, "gone": 1, "gone_too": 2, "last": "z", "from": 5}');
INSERT INTO typed (_id, _doc) VALUES ('2', '{"name": "abcd", "state": "old"}');
SELECT _id, number, other, name, length, state, last, "from" FROM typed ORDER BY _id;
-- What a document says does not depend on the document before it.
UPDATE typed SET _doc = '{"name": "ab"}' WHERE _id = '2';
SELECT _id, number, other, name, length, state IS NOT DISTINCT FROM 'old' AS stale FROM typed WHERE _id = '2';
DROP TABLE typed;

--
-- Rules: paths, several sources, defaults, unmapped, normalize, ignore, floor, as
--
CREATE TABLE typed (_id text, _doc text, city text, street text, dotted text, back text, item text, second integer, either text,
                    camel_case_name text, tenant text, n integer, b boolean, j jsonb, a integer[], ts timestamptz, skipped text,
                    norm jsonb, floored jsonb, whole integer, rounded integer, secs timestamptz, raw text, rest jsonb);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON typed FOR EACH ROW EXECUTE FUNCTION vm_transform('rules', 'TENANT', 'PROJECT');
SELECT vm_define_mapping('rules', '{
  "columns": {
    "city":    {"from": "address.city"},
    "street":  {"from": "address.street.0.name"},
    "dotted":  {"from": "a\\.b.c"},
    "back":    {"from": "back\\\\slash"},
    "item":    {"from": "items.1"},
    "second":  {"from": ["items.2.n", "items.0.n"]},
    "either":  {"from": ["first", "deep.second", "third"], "default": "none"},
    "tenant":  {"default": {"arg": 1}},
    "n":       {"default": 42},
    "b":       {"default": true},
    "j":       {"default": {"a": [1, {"arg": 1}]}},
    "a":       {"default": [1, 2.5, null]},
    "ts":      {"default": {"$date": 1575648464123}},
    "skipped": {"ignore": true},
    "norm":    {"normalize": true},
    "floored": {"normalize": true, "default": {}, "floor": {"n": 0, "m": -1}},
    "whole":   {"as": "floor"},
    "rounded": {"as": "round"},
    "secs":    {"as": "epoch_seconds"},
    "raw":     {"as": "json_text"}
  },
  "unmapped": "rest"}');
-- As above, without the defaults of columns that the document does not name, and without nulls among the unmapped.
CREATE OR REPLACE FUNCTION put(doc text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    DELETE FROM vm.typed;
    INSERT INTO vm.typed (_id, _doc) VALUES ('id', doc);
    SELECT (jsonb_object_agg(key, value) - CASE WHEN doc = '{}' THEN '{}'::text[] ELSE '{tenant,n,b,j,a,ts,either,floored}' END ||
        coalesce(jsonb_object_agg(key, value) FILTER (WHERE doc::jsonb ? key), '{}'))::text
    FROM vm.typed t, jsonb_each(jsonb_strip_nulls(to_jsonb(t) - '{_id,_doc}'::text[])) WHERE value NOT IN ('null', '{}') INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END $$;
\pset format unaligned
SELECT * FROM try('
{}
{"tenant": "t", "n": 0, "b": false, "j": [], "a": [], "ts": 0}
{"tenant": null, "n": null, "b": null, "j": null, "a": null, "ts": {"$date": null}}
{"address": {"city": "Warszawa", "street": [{"name": "Długa"}]}}
{"address": "none"}
{"address": {"city": null, "street": []}}
{"a.b": {"c": "dotted"}, "back\\slash": "b"}
{"items": [{"n": 1}, "second"]}
{"items": {"1": "a key that looks like a position"}}
{"items": [1, 2, {"n": null}]}
{"camelCaseName": "camel"}
{"camelCaseName": "camel", "camel_case_name": "snake"}
{"camelCaseName": "camel", "camel_case_name": null}
{"skipped": "x", "rest": "own", "unknown": [1, {"$date": 1}]}
{"norm": {"d": {"$date": 1575648464123}, "o": {"$oid": "5DEA38507B0B3A0012345678"}, "n": [{"$numberLong": "5"}, {"$numberDecimal": "1.10"}, {"$numberDouble": "NaN"}], "r": {"$regex": "x", "$options": ""}}}
{"norm": {"b": {"$binary": {"base64": "yO2rw/c4TKO2jauSqRR4ow==", "subType": "04"}}, "u": {"$undefined": true}, "k": {"$minKey": 1}, "x": {"$date": 1, "y": 2}, "far": {"$date": 253402300800000}}}
{"norm": {"$numberInt": "7"}}
{"floored": {"n": "1.9", "m": {"$numberLong": "-3"}, "d": {"$date": 0}}}
{"floored": {"n": null}}
{"floored": {"n": "x"}}
{"whole": 1.9, "rounded": 2.5}
{"whole": -1.1, "rounded": -2.5}
{"whole": "1e2"}
{"whole": 2147483648.5}
{"secs": 1575648464}
{"secs": {"$date": 1575648464123}}
{"secs": "1575648464"}
{"raw": "s"}
{"raw": {"b": 1.50, "a": {"$date": 1}}}
{"raw": 1.50}
{"_id": {"$oid": "5dea38507b0b3a0012345678"}, "_doc": 1}
');
\pset format aligned
-- Several of an array, first in the order of the rule.
INSERT INTO typed (_id, _doc) VALUES ('1', '{"first": null, "deep": {"second": "s"}, "third": "t"}');
SELECT either, rest FROM typed WHERE _id = '1';
-- Concatenation, with its warning.
INSERT INTO typed (_id, _doc) VALUES ('2', '{"floored": [1, 2]}'), ('3', '{"floored": "x"}');
SELECT _id, floored FROM typed WHERE _id IN ('2', '3') ORDER BY _id;
-- The error's path.
INSERT INTO typed (_id, _doc) VALUES ('4', '{"items": [0, 1, {"n": "x"}]}');
INSERT INTO typed (_id, _doc) VALUES ('5', '{"floored": {"n": "x"}}');
DROP TABLE typed;

--
-- Feeds: session_replication_role, NULL first, ON CONFLICT, an UPDATE that leaves _doc alone
--
CREATE TABLE typed (_id text PRIMARY KEY, _doc text, name text, n integer);
CREATE TRIGGER t BEFORE INSERT OR UPDATE OF _doc ON typed FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
ALTER TABLE typed ENABLE ALWAYS TRIGGER t;
SET session_replication_role = replica;
INSERT INTO typed (_id) VALUES ('1');
UPDATE typed SET _doc = '{"name": "one"}' WHERE _id = '1';
RESET session_replication_role;
INSERT INTO typed (_id, _doc) VALUES ('1', '{"name": "two"}'), ('2', '{"name": "new"}')
ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
UPDATE typed SET n = 5 WHERE _id = '1';
UPDATE typed SET n = 6, _doc = _doc WHERE _id = '2';
SELECT * FROM typed ORDER BY _id;
-- What was kept out of line is compared without reading it where that can be told.
ALTER TABLE typed ALTER COLUMN _doc SET STORAGE EXTERNAL;
INSERT INTO typed (_id, _doc) VALUES ('big', '{"name": "big", "filler": "' || repeat('x', 100000) || '"}');
UPDATE typed SET n = 7 WHERE _id = 'big';
UPDATE typed SET n = 8, _doc = _doc || '' WHERE _id = 'big';
SELECT _id, name, n, length(_doc) FROM typed WHERE _id = 'big';
UPDATE typed SET n = 9, _doc = _doc || ' ' WHERE _id = 'big';
SELECT _id, name, n, length(_doc) FROM typed WHERE _id = 'big';
-- Large and deep.
INSERT INTO typed (_id, _doc) VALUES ('deep', '{"name": "d", "x": ' || repeat('[', 6000) || repeat(']', 6000) || '}');
INSERT INTO typed (_id, _doc) SELECT 'wide', '{' || string_agg(format('"k%s": %s', i, i), ', ') || ', "n": 1}' FROM generate_series(1, 100000) i;
INSERT INTO typed (_id, _doc) VALUES ('long', '{"name": "' || repeat('y', 10000000) || '"}');
SELECT _id, length(name), n FROM typed WHERE _id IN ('deep', 'wide', 'long') ORDER BY _id;
DO $$
BEGIN
    INSERT INTO vm.typed (_id, _doc) VALUES ('deeper', '{"name": ' || repeat('[', 1000000) || repeat(']', 1000000) || '}');
EXCEPTION WHEN OTHERS THEN
    RAISE INFO '% %', sqlstate, sqlerrm;
END $$;
DROP TABLE typed;

-- A function of the table's owner that fires another transformation inside this one.
CREATE TABLE inner_table (_id text, _doc text, name text);
CREATE TRIGGER t BEFORE INSERT ON inner_table FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
CREATE FUNCTION nest(value integer) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO vm.inner_table (_id, _doc) VALUES (value::text, format('{"name": "inside %s"}', value));
    RETURN value < 5;
END $$;
CREATE DOMAIN nesting AS integer CHECK (nest(VALUE));
CREATE TABLE outer_table (_id text, _doc text, a text, n nesting, z text);
CREATE TRIGGER t BEFORE INSERT ON outer_table FOR EACH ROW EXECUTE FUNCTION vm_transform('plain');
INSERT INTO outer_table (_id, _doc) VALUES ('1', '{"a": "a", "n": 1, "z": "z"}'), ('2', '{"a": "a2", "n": 2, "z": "z2"}');
INSERT INTO outer_table (_id, _doc) VALUES ('5', '{"a": "a", "n": 5, "z": "z"}');
INSERT INTO outer_table (_id, _doc) VALUES ('3', '{"a": "a3", "n": 3, "z": "z3"}');
SELECT _id, a, n, z, i.name FROM outer_table o JOIN inner_table i USING (_id) ORDER BY _id;
DROP TABLE outer_table, inner_table;
DROP DOMAIN nesting;
DROP FUNCTION nest(integer);

DROP TABLE article, campaigns;
DROP FUNCTION put(text), try(text);
DROP TYPE colour, pair;
DROP DOMAIN short_code, positive, must, instant;
DELETE FROM vm_mapping WHERE NOT shipped;
