-- The article's updates U1 to U21: which version stays, and what is recorded.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'

CREATE TABLE article (
    tenant_id text, project_id text, id text, code text, deleted boolean, publish jsonb, created_at timestamptz,
    updated_at timestamptz, deleted_at timestamptz, _id varchar(200) PRIMARY KEY, _doc text
);
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON article
    FOR EACH ROW EXECUTE FUNCTION transform_voucher('TENANT', 'PROJECT');
-- A row as it stands, then what comes; code says which of the two is in the columns.
CREATE PROCEDURE update_with(u text, stands text, comes text) LANGUAGE plpgsql AS $$
DECLARE
    r record;
BEGIN
    INSERT INTO vm.article (_id, _doc) VALUES (u, stands);
    BEGIN
        UPDATE vm.article SET _doc = comes WHERE _id = u;
    EXCEPTION WHEN OTHERS THEN
        RAISE INFO '%: % %', u, sqlstate, sqlerrm;
    END;
    SELECT code, updated_at, deleted_at, _doc = comes AS taken,
        (SELECT count(*) FROM vm.vm_anomaly a WHERE a._id = u) AS anomalies FROM vm.article a WHERE a._id = u INTO r;
    RAISE INFO '%: code %, updated_at %, deleted_at %, _doc taken %, anomalies %', u, r.code, r.updated_at, r.deleted_at, r.taken, r.anomalies;
END $$;

CALL update_with('U1 newer', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new","updated_at":{"$date":1575648465000}}');
CALL update_with('U2 older', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new","updated_at":{"$date":1575648463000}}');
CALL update_with('U3 same second', '{"code":"old","updated_at":{"$date":1575648464500}}', '{"code":"new","updated_at":{"$date":1575648464900}}');
CALL update_with('U3 by a millisecond', '{"code":"old","updated_at":{"$date":1575648464500}}', '{"code":"new","updated_at":{"$date":1575648464499}}');
CALL update_with('U4 older, ISO', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new","updated_at":"2019-12-06T16:07:43Z"}');
CALL update_with('U5 no dates', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new"}');
CALL update_with('U5 none before', '{"code":"old"}', '{"code":"new","updated_at":{"$date":1575648464000}}');
CALL update_with('U6 deleted later', '{"code":"old","updated_at":{"$date":1575648464000}}',
    '{"code":"new","updated_at":{"$date":1575648463000},"deletedAt":{"$date":1575648465000}}');
CALL update_with('U8 $date ISO, older', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new","updated_at":{"$date":"2019-12-06T16:07:43Z"}}');
CALL update_with('U8 $date ISO, newer', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new","updated_at":{"$date":"2019-12-06T16:07:45Z"}}');
CALL update_with('U13 invalid', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new"');
CALL update_with('U14 equal', '{"code":"old","updated_at":{"$date":1575648464123}}', '{"code":"new","updated_at":{"$date":1575648464123}}');
CALL update_with('U15 the same instant', '{"code":"old","updated_at":"2019-12-06T16:07:44.123Z"}', '{"code":"new","updated_at":{"$date":1575648464123}}');
CALL update_with('U16 no object', '{"code":"old","updated_at":{"$date":1575648464000}}', '[]');
CALL update_with('U17 number, older', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new","updated_at":1575648463999}');
CALL update_with('U17 number, newer', '{"code":"old","updated_at":{"$date":1575648464000}}', '{"code":"new","updated_at":1575648464001}');
CALL update_with('U18 no longer deleted', '{"code":"old","updated_at":{"$date":1575648464000},"deletedAt":{"$date":1575648464000}}',
    '{"code":"new","updated_at":{"$date":1575648465000}}');
SET timezone = 'America/New_York';
CALL update_with('U20 New York', '{"code":"old","updated_at":"2019-12-06T16:07:44Z"}', '{"code":"new","updated_at":{"$date":1575648465000}}');
SET timezone = 'UTC';

-- U7: the same document sent again is judged again; also when the row has meanwhile become older.
INSERT INTO article (_id, _doc) VALUES ('U7', '{"code":"old","updated_at":{"$date":1575648464000}}');
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1575648463000}}' WHERE _id = 'U7';
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1575648463000}}' WHERE _id = 'U7';
SELECT code, _doc, (SELECT sum(times_seen) FROM vm_anomaly a WHERE a._id = 'U7') AS seen,
       (SELECT count(*) FROM vm_anomaly a WHERE a._id = 'U7') AS recorded FROM article WHERE _id = 'U7';
UPDATE article SET updated_at = NULL WHERE _id = 'U7';
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1575648463000}}' WHERE _id = 'U7';
SELECT code, _doc FROM article WHERE _id = 'U7';

-- U9, U10: an application's change and a document that has not changed, or only in its white space.
INSERT INTO article (_id, _doc) VALUES ('U9', '{"code":"doc"}'), ('U10', '{"code":"doc"}'), ('U11', '{"code":"doc"}');
UPDATE article SET code = 'application' WHERE _id IN ('U9', 'U10');
UPDATE article SET _doc = '{"code":"doc"}' WHERE _id = 'U9';
UPDATE article SET _doc = '{"code": "doc"}' WHERE _id = 'U10';
-- U11, U12: _doc becomes NULL; a row with NULL gets its document.
UPDATE article SET _doc = NULL WHERE _id = 'U11';
INSERT INTO article (_id) VALUES ('U12');
UPDATE article SET _doc = '{"code":"second half","updated_at":{"$date":1575648464000}}' WHERE _id = 'U12';
-- U21: a row of the application's.
INSERT INTO article (_id, code) VALUES ('U21', 'application');
SELECT _id, code, tenant_id, _doc FROM article WHERE _id IN ('U9', 'U10', 'U11', 'U12', 'U21') ORDER BY substr(_id, 2)::integer;
-- A NULL between two documents does not lose the watermark.
UPDATE article SET _doc = NULL WHERE _id = 'U12';
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1575648463000}}' WHERE _id = 'U12';
SELECT _id, code, _doc FROM article WHERE _id = 'U12';
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1575648463000}}' WHERE _id = 'U12';

-- What else the statement sets is kept, the transformed columns are not.
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1575648463000}}', created_at = '2000-01-01', _id = 'U9 renamed' WHERE _id = 'U9';
UPDATE article SET updated_at = '2019-12-06 16:07:44' WHERE _id = 'U9 renamed';
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1575648463001}}', _id = 'U9 again' WHERE _id = 'U9 renamed';
SELECT _id, code, created_at FROM article WHERE _id LIKE 'U9%';
-- Through ON CONFLICT.
INSERT INTO article (_id, _doc) VALUES ('U1 newer', '{"code":"late","updated_at":{"$date":1575648464999}}')
ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
INSERT INTO article (_id, _doc) VALUES ('U1 newer', '{"code":"newest","updated_at":{"$date":1575648465001}}')
ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
SELECT code FROM article WHERE _id = 'U1 newer';

-- What is recorded.
\x on
SELECT child, child_name, mapping, _id, kind, incoming_time, stored_time, incoming, stored, incoming_doc, times_seen,
       detected_at BETWEEN now() - interval '1 hour' AND now() AS just_now, last_seen_at >= detected_at AS seen_later,
       resolved_at, resolved_by, resolution
FROM vm_anomaly WHERE _id IN ('U2 older', 'U7') ORDER BY _id;
\x off
-- It rolls back with the row.
BEGIN;
UPDATE article SET _doc = '{"code":"late","updated_at":{"$date":1}}' WHERE _id = 'U14 equal';
SELECT count(*) FROM vm_anomaly WHERE _id = 'U14 equal';
ROLLBACK;
SELECT count(*) FROM vm_anomaly WHERE _id = 'U14 equal';

--
-- vm_resolve_anomaly
--
SELECT anomaly_id AS id FROM vm_anomaly WHERE _id = 'U2 older' \gset
SELECT FROM vm_resolve_anomaly(:id, 'the older one is right');
SELECT resolved_at IS NOT NULL AS resolved, resolved_by = current_user AS by_me, resolution FROM vm_anomaly WHERE anomaly_id = :id;
-- Twice, unknown, without words: refused.
CREATE FUNCTION refused(statement text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN false;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlerrm <> '';
END $$;
SELECT refused(format('SELECT vm_resolve_anomaly(%s, ''once more'')', :id)) AS twice,
       refused('SELECT vm_resolve_anomaly(-1, ''nothing'')') AS unknown,
       refused(format('SELECT vm_resolve_anomaly(%s, NULL)', :id)) AS wordless;
SELECT anomaly_id AS open_id FROM vm_anomaly WHERE _id = 'U7' \gset
SELECT vm_resolve_anomaly(:open_id, '');
SELECT vm_resolve_anomaly(:open_id, E' \t\n');
DROP FUNCTION refused(text);
SELECT resolution FROM vm_anomaly WHERE anomaly_id = :id;
-- The same document after that is another case.
UPDATE article SET _doc = '{"code":"new","updated_at":{"$date":1575648463000}}' WHERE _id = 'U2 older';
SELECT times_seen, resolution FROM vm_anomaly WHERE _id = 'U2 older' ORDER BY anomaly_id;

--
-- Other watermarks
--
CREATE TABLE marked (_id text PRIMARY KEY, _doc text, code text, a timestamp, b date, c timestamptz(0), d timestamptz);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON marked FOR EACH ROW EXECUTE FUNCTION vm_transform('marked');
SELECT vm_define_mapping('marked', '{"watermark": ["a", "b"]}');
INSERT INTO marked (_id, _doc) VALUES ('1', '{"code":"old","a":"2020-01-01T12:00:00Z"}'), ('2', '{"code":"old","b":"2020-01-02"}');
UPDATE marked SET _doc = '{"code":"new","b":"2020-01-01"}' WHERE _id = '1';
UPDATE marked SET _doc = '{"code":"new","a":"2020-01-02T00:00:00Z"}' WHERE _id = '2';
SELECT _id, code, a, b FROM marked ORDER BY _id;
-- A column that keeps fewer digits than the document gives.
SELECT vm_define_mapping('marked', '{"watermark": ["c"]}');
INSERT INTO marked (_id, _doc) VALUES ('3', '{"code":"old","c":1575648464900}');
UPDATE marked SET _doc = '{"code":"new","c":1575648464900}' WHERE _id = '3';
SELECT code, c FROM marked WHERE _id = '3';
-- Minus and plus infinity.
SELECT vm_define_mapping('marked', '{"watermark": ["d"]}');
INSERT INTO marked (_id, _doc) VALUES ('4', '{"code":"old","d":{"$maxKey":1}}'), ('5', '{"code":"old","d":{"$minKey":1}}');
UPDATE marked SET _doc = '{"code":"new","d":0}' WHERE _id IN ('4', '5');
SELECT _id, code, d FROM marked WHERE _id IN ('4', '5') ORDER BY _id;
-- No watermark, no anomaly.
SELECT vm_define_mapping('marked', '{}');
UPDATE marked SET _doc = '{"code":"newer","d":-1}' WHERE _id = '5';
SELECT _id, code, d FROM marked WHERE _id = '5';
-- A name of any kind, and no _id at all.
SELECT vm_define_mapping('any "name"', '{"watermark": ["d"]}');
CREATE TABLE nameless (_doc jsonb, code text, d timestamptz);
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON nameless FOR EACH ROW EXECUTE FUNCTION vm_transform('any "name"');
INSERT INTO nameless (_doc) VALUES ('{"_id":{"$oid":"5dea38507b0b3a0012345678"},"d":5}');
UPDATE nameless SET _doc = '{"_id":{"$oid":"5dea38507b0b3a0012345678"},"d":4}';
SELECT child, mapping, _id, incoming_doc FROM vm_anomaly WHERE child = 'nameless'::regclass;

DROP TABLE article, marked, nameless;
DROP PROCEDURE update_with(text, text, text);
DELETE FROM vm_mapping WHERE NOT shipped;
DELETE FROM vm_anomaly;
