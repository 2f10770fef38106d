-- What the article's trigger does with a document, and where this one differs on purpose.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'
\pset format unaligned

CREATE TABLE article (
    tenant_id text, project_id text, id text, code text, deleted boolean, discount jsonb, publish jsonb,
    validity_day_of_week integer[], created_at timestamptz, updated_at timestamptz, deleted_at timestamptz,
    _id varchar(200), _doc text
);
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON article
    FOR EACH ROW EXECUTE FUNCTION transform_voucher('TENANT', 'PROJECT');

-- The columns that are not as for an empty document, or the error.
CREATE FUNCTION outcome(doc text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    TRUNCATE vm.article;
    INSERT INTO vm.article (_id, _doc) VALUES ('id', doc);
    SELECT string_agg(format('%s = %s', e.key, e.value), ', ') FROM vm.article a,
        json_each(to_json(a)) WITH ORDINALITY e (key, value, n)
    WHERE e.key NOT IN ('_id', '_doc') AND (doc = '{}' OR NOT format('{%s: %s}', to_json(e.key), e.value)::jsonb <@
        '{"tenant_id": "TENANT", "project_id": "PROJECT", "id": "MISSING", "code": null, "deleted": false, "discount": null,
          "publish": {"count": 0}, "validity_day_of_week": null, "created_at": null, "updated_at": null, "deleted_at": null}')
    INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN 'ERROR ' || sqlstate || ': ' || sqlerrm;
END $$;
CREATE FUNCTION try(docs text) RETURNS TABLE (document text, outcome text) LANGUAGE sql AS $$
    SELECT d, vm.outcome(d) FROM regexp_split_to_table(trim(docs, E'\n'), E'\n') d
$$;

--
-- As in the article
--
SELECT * FROM try('
{}

{"id":1,}
{"other":"a\u0000b"}
{"other":1e131072}
{"other":1e400,"id":"k"}
{"other":NaN}
{"id":"a","id":"b"}
{"id":"a","id":null}
{"id":"a","\u0069d":"b"}
{"id":12.50,"code":1e2,"tenant_id":-0}
{"id":"","code":"","tenant_id":""}
{"id":{"b":1,"a":2},"code":[1,  2],"tenant_id":true}
{"id":"\u00e9\"x"}
{"deleted":1}
{"deleted":2}
{"deleted":1.0}
{"deleted":1e0}
{"deleted":"Y"}
{"deleted":" on "}
{"deleted":"of"}
{"deleted":"o"}
{"deleted":""}
{"deleted":{}}
{"deleted":null}
{"discount":null}
{"discount":"x"}
{"discount":{"amount":1.10,"n":1E3,"z":-0}}
{"discount":{"aa":1,"b":2,"aa":3}}
{"publish":{"count":null}}
{"publish":{"count":"1.9999"}}
{"publish":{"count":-1.5}}
{"publish":{"count":-0.5}}
{"publish":{"count":" 5 "}}
{"publish":{"count":""}}
{"publish":{"count":true}}
{"publish":{"count":"1e3"}}
{"publish":{"entries":[{"d":{"$date":1}}],"count":2,"object":"list"}}
{"validity_day_of_week":[]}
{"validity_day_of_week":["1","2.5"]}
{"validity_day_of_week":[-1.5]}
{"validity_day_of_week":[1,null]}
{"validity_day_of_week":[true]}
{"validity_day_of_week":["NaN"]}
{"validity_day_of_week":[3000000000]}
{"validity_day_of_week":[2147483647.4]}
{"validity_day_of_week":{}}
{"validity_day_of_week":5}
{"_id":{"$oid":"5DEA38507B0B3A0012345678"}}
{"_id":{"$oid":"ffffffff7b0b3a0012345678"}}
{"_id":{"$oid":null}}
{"_id":"5dea38507b0b3a0012345678"}
{"_id":12345}
{"_id":{"$uuid":"c8edabc3-f738-4ca3-b68d-ab92a91478a3"}}
{"_id":[{"$oid":"5dea38507b0b3a0012345678"}]}
{"updated_at":{"$date":1.575648464123E12}}
{"updated_at":{"$date":-210866803201000}}
{"updated_at":"Fri, 06 Dec 2019 16:07:44 GMT"}
{"updated_at":"0000-00-00"}
{"updated_at":""}
{"updated_at":false}
{"updated_at":[]}
');
-- Fields the article does not look at: the shipped mappings and the camelCase rule do.
SELECT * FROM try('
{"deleted_at":{"$date":1575648464123},"updatedAt":{"$date":1575648464123}}
{"projectId":"p","tenantId":"t","validityDayOfWeek":[1]}
');

--
-- Deviation 2, 3: milliseconds are kept
--
SELECT * FROM try('
{"updated_at":{"$date":1575648464123}}
{"updated_at":{"$date":1575648464999}}
{"updated_at":{"$date":-1}}
{"updated_at":{"$date":-1001}}
{"updated_at":{"$date":253402300799999}}
{"updated_at":{"$date":9224318015999999}}
{"updated_at":"2019-12-06 16:07:44.123456789"}
');
--
-- Deviation 4: offsets are honoured, TimeZone and DateStyle never matter
--
SET timezone = 'America/New_York';
SET datestyle = 'German, DMY';
CREATE TEMP TABLE offsets AS SELECT * FROM try('
{"updated_at":"2019-12-06T16:07:44.123Z"}
{"updated_at":"2019-12-06T16:07:44.123+02:00"}
{"updated_at":"2019-12-06T16:07:44.123-0500"}
{"updated_at":"2019-12-06T16:07:44"}
{"updated_at":"2019-03-31T02:30:00Z"}
{"updated_at":"2019-12-06"}
{"updated_at":"06/12/2019"}
{"updated_at":"10000-01-01T00:00:00Z"}
{"updated_at":"+010000-01-01T00:00:00Z"}
{"updated_at":"-000001-01-01T00:00:00Z"}
');
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE TEMP TABLE offsets_utc AS SELECT * FROM try((SELECT string_agg(document, E'\n') FROM offsets));
SELECT * FROM offsets_utc;
SELECT count(*) FROM offsets o JOIN offsets_utc u USING (document)
WHERE regexp_replace(o.outcome, 'updated_at = "(.*)"', '\1') ~ '^ERROR' <> (u.outcome ~ '^ERROR')
   OR o.outcome !~ '^ERROR' AND regexp_replace(o.outcome, 'updated_at = "(.*)"', '\1')::timestamptz
                             <> regexp_replace(u.outcome, 'updated_at = "(.*)"', '\1')::timestamptz;
DROP TABLE offsets, offsets_utc;
--
-- Deviation 5: bare numbers and digit strings are epoch milliseconds
--
SELECT * FROM try('
{"updated_at":1575648464123}
{"updated_at":"1575648464123"}
{"updated_at":1575648464}
{"updated_at":20191206}
{"updated_at":0}
{"updated_at":-1}
{"updated_at":1.5}
{"deletedAt":1575648464123}
');
--
-- Deviation 6: $date in every shape
--
SELECT * FROM try('
{"updated_at":{"$date":1575648464000.0}}
{"updated_at":{"$date":1575648464123.5}}
{"updated_at":{"$date":" 1575648464123 "}}
{"updated_at":{"$date":"2019-12-06T16:07:44.123Z"}}
{"updated_at":{"$date":"2019-12-06T16:07:44.123-0700"}}
{"updated_at":{"$date":{"$numberLong":"1575648464123"}}}
{"updated_at":{"$date":null}}
{"updated_at":{"$date":""}}
{"updated_at":{"$date":true}}
{"updated_at":{"$date":1575648464123,"x":1}}
{"deletedAt":{"$date":"2019-12-06T16:07:44.123Z"}}
{"deletedAt":null,"deleted_at":{"$date":1575648464123}}
');
--
-- Deviation 7: wrappers are taken off scalar columns, array elements, count and booleans; inside jsonb they stay
--
SELECT * FROM try('
{"id":{"$oid":"5dea38507b0b3a0012345678"},"code":{"$numberLong":"7"}}
{"deleted":{"$numberInt":"1"}}
{"publish":{"count":{"$numberLong":"5"}}}
{"publish":{"count":{"$numberInt":"x"}}}
{"validity_day_of_week":[{"$numberInt":"1"},{"$numberLong":"2"}]}
{"discount":{"a":{"$numberLong":"5"},"d":{"$date":1575648464123}}}
{"updated_at":{"$numberLong":"1575648464123"}}
{"updated_at":{"$timestamp":{"t":1575648464,"i":1}}}
');
--
-- Deviation 8: $oid is 24 hexadecimal digits, and nothing is executed
--
SELECT * FROM try('
{"_id":{"$oid":"5de"}}
{"_id":{"$oid":""}}
{"_id":{"$oid":"zzzz38507b0b3a0012345678"}}
{"_id":{"$oid":1575648336}}
{"_id":{"$oid":" 5dea385"}}
{"_id":{"$oid":"5dea''--x"}}
{"_id":{"$oid":"5dea\\385"}}
{"_id":{"$oid":{"a":1}}}
{"_id":{"$oid":"5dea38507b0b3a00123456789"}}
');
--
-- Deviation 9: no words as dates
--
SELECT * FROM try('
{"updated_at":"infinity"}
{"updated_at":"-infinity"}
{"updated_at":"now"}
{"updated_at":"today"}
{"updated_at":"epoch"}
{"updated_at":{"$date":"yesterday"}}
');
--
-- Deviation 10: count is an exact floor
--
SELECT * FROM try('
{"publish":{"count":9007199254740993}}
{"publish":{"count":123456789012345678901234}}
{"publish":{"count":1e40}}
{"publish":{"count":"1e-400"}}
{"publish":{"count":"0x10"}}
{"publish":{"count":"NaN"}}
{"publish":{"count":"inf"}}
{"publish":{"count":{"$numberDouble":"Infinity"}}}
');
--
-- Deviation 11: the root is an object
--
SELECT * FROM try('
[1]
"str"
null
5
');
-- Kept: a publish that is no object is concatenated, with a warning.
SELECT * FROM try('
{"publish":[]}
{"publish":[1,2]}
{"publish":"x"}
{"publish":false}
');
\pset format aligned

DROP FUNCTION outcome(text), try(text);
DROP TABLE article;
