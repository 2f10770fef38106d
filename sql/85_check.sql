SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_checker, regress_vm_stranger;
RESET client_min_messages;
\pset null '<NULL>'
\set SHOW_CONTEXT never

CREATE SCHEMA checks;
CREATE TABLE checks.vouchers (
    tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, code text, campaign text, type text, deleted boolean,
    discount jsonb, publish jsonb, redemption json, created_at timestamptz, updated_at timestamptz, deleted_at timestamp,
    PRIMARY KEY (tenant_id, project_id, id), CONSTRAINT one_code UNIQUE (project_id, code)
);
CREATE TABLE checks.campaigns (
    tenant_id text, project_id text, id text PRIMARY KEY, name text, campaign_type text, vouchers_count integer, metadata jsonb,
    deleted boolean, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz
);
SELECT vm_create_child('checks.vouchers', 'voucher', 'T', 'P', 'staged');
SELECT vm_create_child('checks.campaigns', 'campaign', 'T', 'P', 'staged_campaigns');

--
-- Nothing to find: a row for every check, all clean; an empty child too
--
SELECT count(*) AS checks, count(*) FILTER (WHERE rows = 0 AND sample_ids IS NULL AND hint IS NULL) AS clean FROM vm_check('checks.staged');
CREATE FUNCTION voucher(n integer, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('_id', jsonb_build_object('$oid', '5dea38507b0b3a00' || lpad(n::text, 8, '0')), 'id', 'v_' || n,
        'code', 'C' || n, 'type', 'DISCOUNT_VOUCHER', 'campaign', 'summer', 'discount', '{"type": "AMOUNT", "cost": "$5", "\"$date\": ": "\"$date\": "}'::jsonb,
        'publish', '{"count": 2, "entries": ["$date", {"at": "2019-12-06T16:07:44Z"}]}'::jsonb, 'redemption', '{"quantity": 1}'::jsonb,
        'updatedAt', '{"$date": 1575648464123}'::jsonb) || changes)::text
$$;
CREATE FUNCTION campaign(n integer, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('_id', jsonb_build_object('$oid', '5dea38507b0b3a00' || lpad(n::text, 8, '0')), 'id', 'camp_' || n,
        'name', 'summer', 'campaign_type', 'STATIC', 'vouchers_count', 1, 'updatedAt', '{"$date": 1575648464123}'::jsonb) || changes)::text
$$;
INSERT INTO checks.staged (_id, _doc) SELECT 'clean' || n, voucher(n) FROM generate_series(1, 3) n;
INSERT INTO checks.staged_campaigns (_id, _doc) VALUES ('clean', campaign(1));
SELECT * FROM vm_check('checks.staged');
SELECT * FROM vm_check('checks.staged_campaigns');

--
-- A dirty row for each check, its _id the check's name
--
BEGIN;
INSERT INTO checks.staged (_id, _doc) VALUES
    ('id_missing', voucher(11, '{"id": null}')),
    ('tenant_missing', voucher(12, '{"tenant_id": ""}')),
    ('created_at_missing', voucher(13, '{"_id": "plain"}')),
    ('watermark_missing', voucher(14, '{"updatedAt": null}')),
    ('watermark_in_future', voucher(15, jsonb_build_object('updatedAt', (extract(epoch FROM now() + interval '1 hour') * 1000)::bigint))),
    ('watermark_in_future too', voucher(16, jsonb_build_object('deletedAt', (extract(epoch FROM now() + interval '1 hour') * 1000)::bigint))),
    ('soon', voucher(17, jsonb_build_object('updatedAt', (extract(epoch FROM now() + interval '1 minute') * 1000)::bigint))),
    ('type_missing', voucher(18, '{"type": null}')),
    ('discount_missing', voucher(19, '{"discount": null}')),
    ('date_in_publish_entries', voucher(20, '{"publish": {"entries": [{"at": [{"$date": 1575648464123}]}]}}')),
    ('wrapper_in_jsonb', voucher(21, '{"discount": {"amount": {"$numberLong": "1"}}}')),
    ('wrapper_in_jsonb too', voucher(22, '{"redemption": {"at": {"$date": 1}}}')),
    ('publication_total', voucher(51, '{"publish": {"count": 3, "entries": ["a", "b"]}}')),
    ('publication_total too', voucher(52, '{"publish": {"count": "1.00001", "entries": []}}')),
    ('redemption_total', voucher(53, '{"redemption": {"redeemed_quantity": "2", "redemption_entries": [{}]}}')),
    ('redemption_total too', voucher(54, '{"redemption": {"redemption_entries": [{}]}}')),
    ('redeemed_too_often', voucher(55, '{"redemption": {"quantity": 9, "redeemed_quantity": "10"}}')),
    ('totals are right', voucher(56, '{"publish": {"count": "2.7", "entries": [[], []]}, "redemption": {"quantity": 1.0, "redeemed_quantity": 1, "redemption_entries": [[]]}}')),
    ('nothing to compare', voucher(57, '{"publish": {"count": 9, "entries": {"a": 1}}, "redemption": {"quantity": null, "redeemed_quantity": 7, "redemption_entries": null}}')),
    ('nor here', voucher(58, '{"publish": {}, "redemption": {"quantity": "many", "redeemed_quantity": "more", "redemption_entries": []}}')),
    ('nor there', voucher(59, '{"publish": null, "redemption": [1, "x"]}'));
INSERT INTO checks.staged (_id) VALUES ('half_row');
-- What only an application can do to a row.
INSERT INTO checks.staged (_id, _doc) VALUES ('json_null_in_jsonb', voucher(23)), ('json_null_in_jsonb too', voucher(24)), ('count_like_float', voucher(25)),
    ('count_like_float too', voucher(26)), ('no list', voucher(27));
UPDATE checks.staged SET discount = 'null' WHERE _id = 'json_null_in_jsonb';
UPDATE checks.staged SET redemption = ' null' WHERE _id = 'json_null_in_jsonb too';
UPDATE checks.staged SET publish = '{"count": "1.0000"}' WHERE _id = 'count_like_float';
UPDATE checks.staged SET publish = '{"count": 2.5}' WHERE _id = 'count_like_float too';
UPDATE checks.staged SET publish = '{"count": -1, "entries": "none"}' WHERE _id = 'no list';
SELECT check_name, severity, rows, sample_ids FROM vm_check('checks.staged') WHERE rows > 0;
SELECT check_name, hint FROM vm_check('checks.staged') WHERE rows > 0;
ROLLBACK;

BEGIN;
INSERT INTO checks.staged_campaigns (_id, _doc) VALUES ('name_missing', campaign(2, '{"name": ""}')), ('campaign_type_missing', campaign(3, '{"campaign_type": null}')),
    ('id_missing', campaign(4, '{"id": null}')), ('tenant_missing', campaign(5, '{"project_id": ""}')), ('created_at_missing', campaign(6, '{"_id": 5}')),
    ('watermark_missing', campaign(7, '{"updatedAt": null}')), ('watermark_in_future', campaign(8, '{"updatedAt": 9999999999999}')),
    ('wrapper_in_jsonb', campaign(9, '{"metadata": {"$oid": "5dea38507b0b3a0000000009"}}'));
UPDATE checks.staged_campaigns SET metadata = 'null' WHERE _id = 'clean';
SELECT check_name, severity, rows, sample_ids FROM vm_check('checks.staged_campaigns') WHERE rows > 0;
ROLLBACK;

--
-- Keys: the child's own indexes let none in twice, so without them
--
CREATE TABLE checks.bare (_id varchar(200), _doc text) INHERITS (checks.vouchers);
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON checks.bare FOR EACH ROW EXECUTE FUNCTION transform_voucher('T', 'P');
INSERT INTO checks.bare (_id, _doc) SELECT 'b' || n, voucher(n) FROM generate_series(1, 3) n;
SELECT check_name, rows FROM vm_check('checks.bare') WHERE check_name LIKE 'dup%';
INSERT INTO checks.bare (_id, _doc) VALUES ('b4', voucher(4, '{"id": "v_1"}')), ('b5', voucher(5, '{"id": "v_1", "code": "C2"}')),
    ('b6', voucher(6, '{"code": null}')), ('b7', voucher(7, '{"code": null}'));
-- Half rows have keys that are made up.
INSERT INTO checks.bare (_id) VALUES ('half'), ('half');
SELECT check_name, rows, sample_ids, hint FROM vm_check('checks.bare') WHERE check_name LIKE 'dup%' AND rows > 0;
-- Of the parent: the same voucher, which the move will replace; its code under another id; NULLs.
INSERT INTO checks.vouchers (tenant_id, project_id, id, code) VALUES ('T', 'P', 'v_2', 'C2'), ('T', 'P', 'other', 'C3'), ('T', 'P', 'null', NULL),
    ('T', 'P2', 'elsewhere', 'C1');
SELECT check_name, rows, sample_ids, hint FROM vm_check('checks.staged') WHERE check_name LIKE 'dup%' AND rows > 0;
SELECT check_name, rows, sample_ids FROM vm_check('checks.bare') WHERE check_name LIKE 'dup%';
-- Another child is not the parent.
SELECT count(*) FROM checks.vouchers WHERE id = 'v_3';
TRUNCATE ONLY checks.vouchers;
DROP TABLE checks.bare;

-- Expressions, predicates, equal NULLs, an equality of one's own, a collation: as the index has it.
CREATE FUNCTION checks.same(text, text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower($1) = lower($2)';
CREATE FUNCTION checks.less(text, text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower($1) < lower($2)';
CREATE FUNCTION checks.more(text, text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower($1) > lower($2)';
CREATE FUNCTION checks.less_or_same(text, text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower($1) <= lower($2)';
CREATE FUNCTION checks.more_or_same(text, text) RETURNS boolean IMMUTABLE STRICT LANGUAGE sql AS 'SELECT lower($1) >= lower($2)';
CREATE FUNCTION checks.compare(text, text) RETURNS integer IMMUTABLE STRICT LANGUAGE sql AS 'SELECT bttextcmp(lower($1), lower($2))';
CREATE OPERATOR checks.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = checks.same);
CREATE OPERATOR checks.<<< (LEFTARG = text, RIGHTARG = text, FUNCTION = checks.less);
CREATE OPERATOR checks.>>> (LEFTARG = text, RIGHTARG = text, FUNCTION = checks.more);
CREATE OPERATOR checks.<<= (LEFTARG = text, RIGHTARG = text, FUNCTION = checks.less_or_same);
CREATE OPERATOR checks.>>= (LEFTARG = text, RIGHTARG = text, FUNCTION = checks.more_or_same);
CREATE OPERATOR CLASS checks.any_case FOR TYPE text USING btree AS OPERATOR 1 checks.<<<, OPERATOR 2 checks.<<=, OPERATOR 3 checks.===,
    OPERATOR 4 checks.>>=, OPERATOR 5 checks.>>>, FUNCTION 1 checks.compare(text, text);
CREATE TABLE checks.shop ("Id" text PRIMARY KEY, a text, b text, c text, d text, e text);
CREATE UNIQUE INDEX by_expression ON checks.shop (lower(a), (b || 'x'));
CREATE UNIQUE INDEX by_predicate ON checks.shop (c) WHERE b = 'live';
CREATE UNIQUE INDEX by_nulls ON checks.shop (d) NULLS NOT DISTINCT;
CREATE UNIQUE INDEX by_case ON checks.shop (e checks.any_case, b text_pattern_ops);
CREATE TABLE checks.shop_feed (_id text, _doc text) INHERITS (checks.shop);
INSERT INTO checks.shop_feed ("Id", a, b, c, d, e, _id, _doc) VALUES ('1', 'A', 'live', 'c', '1', 'E', '1', ''), ('2', 'a', 'live', 'c', '2', 'e', '2', ''),
    ('3', 'a', 'dead', 'c', NULL, 'e', '3', ''), ('4', NULL, 'dead', 'c', NULL, NULL, '4', '');
INSERT INTO checks.shop VALUES ('x', 'a', 'dead', NULL, NULL, 'E'), ('4', NULL, 'dead', 'c', '2', NULL);
SELECT check_name, rows, sample_ids FROM vm_check('checks.shop_feed') WHERE check_name LIKE 'dup%';
-- An index of the child that is not quite the parent's keeps out nothing.
CREATE UNIQUE INDEX ON checks.shop_feed (c) WHERE b = 'live' AND "Id" <> '1';
SELECT check_name, rows, sample_ids FROM vm_check('checks.shop_feed') WHERE check_name LIKE '%child.by_predicate';
DROP TABLE checks.shop CASCADE;

-- A partitioned parent.
CREATE TABLE checks.parted (id text, code text, PRIMARY KEY (id)) PARTITION BY LIST (id);
CREATE TABLE checks.part PARTITION OF checks.parted DEFAULT;
SELECT vm_define_mapping('plain', '{}');
SELECT vm_create_child('checks.parted', 'plain', 'T', 'P', 'parted_feed');
INSERT INTO checks.parted_feed (_id, _doc) VALUES ('p1', '{"id": "1"}'), ('p2', '{"id": "2"}');
INSERT INTO checks.parted VALUES ('2', 'x');
SELECT check_name, rows, sample_ids FROM vm_check('checks.parted_feed');
DROP TABLE checks.parted_feed, checks.parted;

--
-- Open cases
--
SELECT vm_define_mapping('careful', (SELECT rules || '{"on_error": "quarantine"}' FROM vm_mapping WHERE mapping = 'voucher'));
SELECT vm_create_child('checks.vouchers', 'careful', 'T', 'P', 'cases');
SET client_min_messages = error;
INSERT INTO checks.cases (_id, _doc) SELECT 'bad' || n, '{"deleted": "maybe"}' FROM generate_series(1, 7) n;
INSERT INTO checks.cases (_id, _doc) VALUES ('late', voucher(1)), ('decided', voucher(2));
UPDATE checks.cases SET _doc = voucher(1, '{"updatedAt": 1}') WHERE _id = 'late';
UPDATE checks.cases SET _doc = voucher(2, '{"updatedAt": 1}') WHERE _id = 'decided';
INSERT INTO checks.cases (_id, _doc) VALUES ('bad7', voucher(3));
RESET client_min_messages;
SELECT vm_resolve_anomaly(anomaly_id, 'ours') FROM vm_anomaly WHERE _id = 'decided';
SELECT * FROM vm_check('checks.cases') WHERE rows > 0;
SELECT check_name, rows FROM vm_check('checks.staged') WHERE check_name IN ('open_quarantine', 'unresolved_anomalies');
DROP TABLE checks.cases;
DELETE FROM vm_quarantine;
DELETE FROM vm_anomaly;

--
-- Checks of one's own
--
SELECT vm_define_check('gone', 'checks.vouchers', 'deleted', 'info', 'Move these first.');
SELECT vm_define_check('odd', NULL, E'right(code, 1) IN (''1'', ''3'') -- a comment', 'warning');
SELECT vm_define_check('lost', 'voucher', 'NOT EXISTS (SELECT FROM checks.campaigns k WHERE k.tenant_id = child.tenant_id AND k.project_id = child.project_id AND k.name = child.campaign)');
SELECT vm_define_check('lost', 'campaign', 'vouchers_count <> (SELECT count(*) FROM checks.vouchers v WHERE v.campaign = child.name)', 'error', 'Count anew.');
SELECT vm_define_check('any_key', 'voucher', 'jsonb_typeof("vm_jsonb") = ''object'' AND VM_JSONB ? ''quantity'' AND NOT vm_Has_Wrapper ( vm_jsonb ) AND ''vm_jsonb'' <> ''''', 'info');
UPDATE checks.staged SET deleted = true WHERE _id = 'clean2';
SELECT * FROM vm_check('checks.staged') WHERE rows > 0;
SELECT * FROM vm_check('checks.staged_campaigns') WHERE rows > 0;
SELECT check_name, mapping, parent, condition, severity, hint, defined_by = current_user AS mine FROM vm_check_rule WHERE NOT shipped ORDER BY check_name, mapping;
-- Defined anew, it is replaced; a shipped one is too, for the children it is for, until it is dropped.
SELECT vm_define_check('gone', 'checks.vouchers', 'deleted IS NULL', 'info');
SELECT vm_define_check('discount_missing', 'checks.vouchers', 'discount IS NULL AND type <> ''GIFT_VOUCHER''', 'error');
SELECT vm_define_check(c, NULL, 'false', 'info') FROM unnest('{half_row,id_missing}'::text[]) c;
INSERT INTO checks.staged (_id, _doc) VALUES ('gift', voucher(31, '{"discount": null, "type": "GIFT_VOUCHER"}')), ('none', voucher(32, '{"discount": null, "type": "X"}')),
    ('half', NULL);
SELECT check_name, severity, rows, sample_ids FROM vm_check('checks.staged') WHERE check_name IN ('gone', 'discount_missing', 'half_row', 'id_missing');
SELECT vm_drop_check(c) FROM unnest('{discount_missing,half_row,id_missing,gone,odd,lost,any_key}'::text[]) c;
SELECT check_name, severity, rows, sample_ids FROM vm_check('checks.staged') WHERE check_name IN ('gone', 'discount_missing', 'half_row', 'id_missing');
SELECT count(*) FROM vm_check_rule WHERE NOT shipped;

-- Refused on the spot.
CREATE FUNCTION checks.refused(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ': ' || sqlerrm;
END $$;
SELECT checks.refused('SELECT vm_' || command) FROM unnest(ARRAY[
    $$define_check('', NULL, 'true')$$,
    $$define_check('open_quarantine', NULL, 'true')$$,
    $$define_check('duplicate_in_child.x', NULL, 'true')$$,
    $$define_check('x', NULL, 'true', 'fatal')$$,
    $$define_check('x', 'nowhere', 'true')$$,
    $$define_check('x', 'checks.staged', 'true')$$,
    $$define_check('x', 'checks.vouchers', 'id')$$,
    $$define_check('x', NULL, 'id IS')$$,
    $$define_check(NULL, NULL, 'true')$$,
    $$define_check('x', NULL, NULL)$$,
    $$define_check('x', NULL, 'true', NULL)$$,
    $$drop_check('x')$$,
    $$drop_check('id_missing')$$,
    $$source_checks('nowhere')$$]) command;
SELECT vm_define_check('x', 'nowhere', 'true');
SELECT vm_drop_check('id_missing');
SELECT vm_define_check('x', 'checks.vouchers', 'coed IS NULL');
SELECT vm_define_check('x', 'checks.vouchers', 'code');
SELECT vm_define_check('x', 'checks.vouchers', 'no_such_function(code)');
SELECT vm_define_check('x', 'checks.vouchers', 'count(*) > 1');
SELECT vm_define_check('x', 'checks.vouchers', 'generate_series(1, 2) > 1');
SELECT vm_define_check('x', 'voucher', 'coed IS NULL');
-- No child yet: the parents that are registered with the mapping.
CREATE TABLE checks.early (id text PRIMARY KEY, code text, updated_at timestamptz);
SELECT vm_define_mapping('early', '{}');
SELECT vm_define_check('x', 'early', 'cde IS NULL AND _doc IS NOT NULL');
SELECT vm_drop_check('x');
SELECT vm_register_parent('checks.early', 'early');
SELECT vm_define_check('x', 'early', 'cde IS NULL AND _doc IS NOT NULL');
SELECT vm_define_check('x', 'early', 'code IS NULL AND _doc IS NOT NULL AND child.vm_watermark IS NULL');
SELECT vm_drop_check('x');
DROP TABLE checks.early;
SELECT vm_define_check('x', 'early', 'cde IS NULL');
SELECT vm_drop_check('x'), vm_unregister_parent('early'), vm_drop_mapping('early');
SELECT vm_define_check('x', 'checks.campaigns', 'vm_jsonb IS NULL AND $1');
CREATE TABLE checks.no_json (id text PRIMARY KEY);
SELECT vm_define_check('x', 'checks.no_json', 'vm_jsonb IS NULL');
DO $$
DECLARE
    c text;
BEGIN
    FOREACH c IN ARRAY ARRAY['', 'true; DROP TABLE checks.vouchers', 'true) OR (true', 'true, true', 'true FROM checks.vouchers', 'true AS x',
        'DISTINCT true', 'true LIMIT 1', 'true ORDER BY 1', 'true WHERE true', 'true GROUP BY 1', 'true FOR UPDATE', 'true /*', '(true', 'x''', ';'] LOOP
        BEGIN
            PERFORM vm.vm_define_check('x', NULL, c);
            RAISE WARNING 'accepted: %', c;
        EXCEPTION WHEN invalid_parameter_value THEN
            NULL;
        END;
    END LOOP;
END $$;
SELECT count(*) FROM vm_check_rule WHERE NOT shipped;

--
-- A condition that cannot be asked is a row that says so; the others are answered
--
INSERT INTO checks.staged (_id, _doc) VALUES ('id_missing', voucher(41, '{"id": null}'));
SELECT vm_define_check('bad_column', 'plain', 'true');
SELECT vm_define_check('fails_by_row', NULL, '1 / (length(id) - 3) > 0', 'info');
SELECT vm_define_check('fails_by_cast', 'voucher', 'code::integer > 0');
SELECT vm_define_check('too_late', 'voucher', 'campaign = ''summer''', 'info');
SELECT vm_define_check('writes', NULL, 'nextval(''vm.vm_anomaly_anomaly_id_seq'') > 0');
ALTER TABLE checks.vouchers RENAME COLUMN campaign TO promotion;
-- What no definition lets in, but a table can hold.
INSERT INTO vm_check_rule (check_name, condition) VALUES ('breaks_out', 'true) IS TRUE, (SELECT (true'), ('breaks_off', 'true; DROP TABLE checks.vouchers'),
    ('of_no_table', 'no_such_column IS NULL');
SELECT check_name, severity, rows, sample_ids, hint FROM vm_check('checks.staged')
WHERE rows IS NULL OR rows > 0 OR check_name IN ('too_late', 'of_no_table', 'bad_column');
ALTER TABLE checks.vouchers RENAME COLUMN promotion TO campaign;
DELETE FROM vm_check_rule WHERE NOT shipped;

--
-- Forty-two checks at once, five samples of each
--
SELECT count(vm_define_check('check_' || n, 'checks.vouchers', format('length(_id) + %s > 45', n), 'warning')::text) FROM generate_series(1, 42) n;
INSERT INTO checks.staged (_id, _doc) SELECT 'many' || n, voucher(100 + n) FROM generate_series(1, 9) n;
SELECT check_name, rows, cardinality(sample_ids) AS samples FROM vm_check('checks.staged') WHERE check_name LIKE 'check%' ORDER BY length(check_name), check_name;
DELETE FROM vm_check_rule WHERE NOT shipped;

--
-- Rights: the caller's, in a transaction that may write; and a hostile search_path
--
CREATE ROLE regress_vm_checker;
CREATE ROLE regress_vm_stranger;
GRANT USAGE ON SCHEMA vm, checks TO regress_vm_checker, regress_vm_stranger;
GRANT SELECT ON checks.staged TO regress_vm_checker;
SET ROLE regress_vm_stranger;
SELECT count(*) FROM vm_check('checks.staged');
SELECT vm_define_check('x', NULL, 'true');
SELECT vm_drop_check('x');
SELECT count(*) FROM vm_check_rule;
RESET ROLE;
CREATE TABLE checks.ran_as (who text, what text);
GRANT ALL ON checks.ran_as TO PUBLIC;
CREATE FUNCTION checks.note() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO checks.ran_as VALUES (current_user);
    RETURN true;
END $$;
CREATE FUNCTION checks.whoami(role name) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN current_user = role; END $$;
CREATE FUNCTION checks.become() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN SET ROLE regress_vm_stranger; RETURN true; END $$;
CREATE FUNCTION checks.unlock() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN SET transaction_read_only = off; RETURN true; END $$;
SELECT vm_define_check('writes', NULL, 'checks.note()');
SELECT vm_define_check('runs_as_caller', NULL, 'checks.whoami(''regress_vm_checker'')', 'info');
SELECT vm_define_check('becomes', NULL, 'checks.become()');
SELECT vm_define_check('unlocks', NULL, 'checks.unlock()');
SELECT vm_define_check('reads_parent', 'checks.vouchers', 'EXISTS (SELECT FROM checks.vouchers)');
SELECT vm_define_check('own_names', NULL, 'lower(_id) = ''half''', 'info');
SET ROLE regress_vm_checker;
CREATE TEMP TABLE staged (x integer);
SELECT check_name, severity, rows, sample_ids, hint FROM vm_check('checks.staged') WHERE rows IS NULL OR rows > 0;
RESET ROLE;
SELECT * FROM checks.ran_as;
-- The session is as it was.
SHOW transaction_read_only;
INSERT INTO checks.ran_as VALUES ('me');
SELECT vm_drop_check(c) FROM unnest('{writes,runs_as_caller,becomes,unlocks,reads_parent}'::text[]) c;

CREATE SCHEMA evil;
CREATE TABLE evil.called (what text);
CREATE FUNCTION evil.op(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.called VALUES ('='); RETURN false; END $$;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.called VALUES ('lower'); RETURN 'half'; END $$;
CREATE FUNCTION evil.min(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.called VALUES ('min'); RETURN NULL; END $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.called VALUES ('now'); RETURN '-infinity'; END $$;
CREATE FUNCTION evil.jsonb_path_exists(jsonb, jsonpath) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.called VALUES ('path'); RETURN true; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE OPERATOR evil.~ (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE TABLE evil.vm_check_rule (check_name text, condition text);
CREATE TABLE evil.vm_quarantine (child regclass, _id text, settled_at timestamptz);
CREATE TABLE evil.staged (_id text);
CREATE FUNCTION evil.vm_has_wrapper(jsonb) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN INSERT INTO evil.called VALUES ('wrapper'); RETURN true; END $$;
CREATE DOMAIN evil.jsonb AS text;
CREATE DOMAIN evil.text AS integer;
CREATE TABLE answers AS SELECT * FROM vm_check('checks.staged');
SET search_path = evil, pg_temp, pg_catalog;
CREATE TABLE public.hostile AS SELECT * FROM vm.vm_check('checks.staged');
SELECT vm.vm_define_check('own_names', NULL, 'lower(_id) = ''half''', 'info');
SELECT pg_catalog.length(vm.vm_source_checks('voucher')) OPERATOR(pg_catalog.>) 1000 AS script;
RESET search_path;
SET search_path = vm, public;
SELECT count(*) FROM evil.called;
SELECT * FROM answers EXCEPT SELECT * FROM hostile;
SELECT count(*) >= 19 AS answered FROM hostile;
DROP TABLE answers, hostile;

-- With workers the same comes out.
CREATE TABLE serial AS SELECT check_name, severity, rows FROM vm_check('checks.staged');
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
CREATE TABLE parallel AS SELECT check_name, severity, rows FROM vm_check('checks.staged');
RESET ALL;
SET search_path = vm, public;
SELECT * FROM serial EXCEPT SELECT * FROM parallel;
DROP TABLE serial, parallel;

-- A failed one leaves nothing behind.
BEGIN;
SAVEPOINT s;
SELECT count(*) FROM vm_check('checks.vouchers');
ROLLBACK TO s;
SHOW transaction_read_only;
COMMIT;
SELECT count(*) FROM vm_check(NULL);

--
-- The same at the source
--
SELECT vm_define_check('gone', NULL, 'deleted', 'info', 'Say "why".', '{ deleted: true }');
SELECT vm_source_checks('voucher');
SELECT vm_source_checks('campaign') LIKE '%check("campaign_type_missing"%' AS campaigns, vm_source_checks('campaign') LIKE '%discount%' AS vouchers;
SELECT vm_source_checks('plain');

DELETE FROM vm_check_rule WHERE NOT shipped;
DELETE FROM vm_mapping WHERE NOT shipped;
SET client_min_messages = warning;
DROP SCHEMA checks, evil CASCADE;
DROP FUNCTION voucher, campaign;
DROP TABLE pg_temp.staged;
REVOKE ALL ON SCHEMA vm FROM regress_vm_checker, regress_vm_stranger;
DROP ROLE regress_vm_checker, regress_vm_stranger;
