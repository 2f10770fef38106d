-- Least privilege, and hostile surroundings.
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_feed, regress_vm_dba, regress_vm_nobody;
RESET client_min_messages;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\pset null '<NULL>'
\set SHOW_CONTEXT never

-- What PUBLIC may call: nothing that writes.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'vm'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')
ORDER BY p.proname COLLATE "C";
SELECT c.relname, acl.privilege_type FROM pg_class c, aclexplode(c.relacl) acl
WHERE c.relnamespace = 'vm'::regnamespace AND acl.grantee = 0;
-- Nothing runs with its owner's rights as a whole.
SELECT p.proname FROM pg_proc p WHERE p.pronamespace = 'vm'::regnamespace AND p.prosecdef;

CREATE ROLE regress_vm_feed;
CREATE ROLE regress_vm_dba;
CREATE ROLE regress_vm_nobody;
CREATE SCHEMA prod AUTHORIZATION regress_vm_dba;
GRANT USAGE ON SCHEMA vm, prod TO regress_vm_nobody, regress_vm_feed, regress_vm_dba;

--
-- Nobody
--
SET ROLE regress_vm_nobody;
SELECT vm.hex_to_bigint('ff'), vm.json_arr2int_arr('[1]');
SELECT vm.vm_define_mapping('x', '{}');
SELECT vm.vm_drop_mapping('voucher');
SELECT vm.vm_create_child('vm.vm_mapping', 'voucher', 'T', 'P');
SELECT vm.vm_move_batch('vm.vm_mapping');
SELECT vm.vm_retry_quarantine();
SELECT vm.vm_resolve_anomaly(1, 'x');
SELECT vm.vm_settle_quarantine(1, 'x');
SELECT count(*) FROM vm.vm_mapping;
SELECT count(*) FROM vm.vm_anomaly;
SELECT count(*) FROM vm.vm_quarantine;
CREATE TEMP TABLE mine (_id text, _doc text);
CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION vm.vm_transform('voucher');
DROP TABLE mine;
RESET ROLE;

--
-- Who owns the parent makes the child, if he may
--
SET ROLE regress_vm_dba;
CREATE TABLE prod.shop (id text PRIMARY KEY, amount integer, updated_at timestamptz);
SELECT vm.vm_create_child('prod.shop', 'shop', 'T', 'P', 'staged');
RESET ROLE;
GRANT EXECUTE ON FUNCTION vm.vm_define_mapping(text, jsonb), vm.vm_create_child(regclass, text, text, text, name), vm.vm_transform(),
    vm.vm_move_batch(regclass, integer, text, text, text, boolean, name), vm.vm_retry_quarantine(regclass) TO regress_vm_dba;
SET ROLE regress_vm_dba;
SELECT vm.vm_define_mapping('shop', '{"watermark": "updated_at", "on_error": "quarantine"}');
SELECT vm.vm_create_child('prod.shop', 'shop', 'T', 'P', 'staged');
SELECT vm.vm_create_child('vm.vm_mapping', 'shop', 'T', 'P', 'stolen');
RESET ROLE;
SELECT mapping, defined_by FROM vm.vm_mapping WHERE mapping = 'shop';

--
-- A feed that may only write to the child: bad documents, late ones and good ones
--
GRANT INSERT, UPDATE ON prod.staged TO regress_vm_feed;
GRANT SELECT (_id, _doc) ON prod.staged TO regress_vm_feed;
REVOKE USAGE ON SCHEMA vm FROM regress_vm_feed;
SET ROLE regress_vm_feed;
INSERT INTO prod.staged (_id, _doc) VALUES ('1', '{"id": "1", "amount": 1, "updated_at": 2000}'), ('2', '{"id": "2", "amount": "x"}');
UPDATE prod.staged SET _doc = '{"id": "1", "amount": 2, "updated_at": 1000}' WHERE _id = '1';
COPY prod.staged (_id, _doc) FROM stdin;
2	{"id": "2", "amount": 2}
3	{"id": "3", "amount": "x
\.
INSERT INTO prod.staged (_id, _doc) VALUES ('4', '{"id": "4"}') ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc;
SELECT count(*) FROM vm.vm_quarantine;
SELECT count(*) FROM prod.staged;
SELECT vm.vm_move_batch('prod.staged');
RESET ROLE;
SELECT _id, kind FROM vm.vm_anomaly;
SELECT _id, settled_by FROM vm.vm_quarantine ORDER BY quarantine_id;
-- The mover reads and deletes in the child as itself.
SET ROLE regress_vm_dba;
SELECT * FROM vm.vm_move_batch('prod.staged');
SELECT count(*) FROM vm.vm_anomaly;
SELECT * FROM vm.vm_retry_quarantine('prod.staged');
RESET ROLE;
GRANT EXECUTE ON FUNCTION vm.vm_move_batch(regclass, integer, text, text, text, boolean, name), vm.vm_retry_quarantine(regclass) TO regress_vm_nobody;
INSERT INTO prod.staged (_id, _doc) VALUES ('5', '{"id": "5"}');
SET ROLE regress_vm_nobody;
SELECT * FROM vm.vm_move_batch('prod.staged');
SELECT * FROM vm.vm_retry_quarantine('prod.staged');
RESET ROLE;
SELECT count(*) FROM prod.staged;
-- Who may call it may decide, without a right on the tables.
SELECT anomaly_id FROM vm.vm_anomaly \gset
SELECT quarantine_id FROM vm.vm_quarantine WHERE settled_at IS NULL \gset
GRANT EXECUTE ON FUNCTION vm.vm_resolve_anomaly(bigint, text), vm.vm_settle_quarantine(bigint, text) TO regress_vm_dba;
SET ROLE regress_vm_dba;
SELECT vm.vm_resolve_anomaly(:anomaly_id, 'theirs');
SELECT vm.vm_settle_quarantine(:quarantine_id, 'given up');
UPDATE vm.vm_quarantine SET settled_at = NULL, settled_by = NULL, decided_by = NULL, decision = NULL;
RESET ROLE;
SELECT resolved_by, resolution FROM vm.vm_anomaly;
SELECT _id, settled_by, decided_by, decision FROM vm.vm_quarantine ORDER BY quarantine_id;
DELETE FROM vm.vm_anomaly;
DELETE FROM vm.vm_quarantine;
DROP TABLE prod.staged;

--
-- Types and functions of the table's owner never run with more than the rights of who runs the statement
--
SET ROLE regress_vm_dba;
CREATE TABLE prod.ran_as (what text, who text);
GRANT INSERT ON prod.ran_as TO PUBLIC;
CREATE TYPE prod.mood AS ENUM ('ok', 'sad');
CREATE TYPE prod.pair AS (x text, y integer);
CREATE FUNCTION prod.evil_json(prod.mood) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prod.ran_as VALUES ('cast of an enum', current_user);
    RETURN '"evil"';
END $$;
CREATE CAST (prod.mood AS json) WITH FUNCTION prod.evil_json(prod.mood);
CREATE FUNCTION prod.evil_json(prod.pair) RETURNS json LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prod.ran_as VALUES ('cast of a composite', current_user);
    RETURN '"evil"';
END $$;
CREATE CAST (prod.pair AS json) WITH FUNCTION prod.evil_json(prod.pair);
CREATE FUNCTION prod.evil_check(text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prod.ran_as VALUES ('check of a domain', current_user);
    RETURN true;
END $$;
CREATE DOMAIN prod.checked AS text CHECK (prod.evil_check(VALUE));
CREATE FUNCTION prod.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO prod.ran_as VALUES ('trigger of ' || tg_table_name, current_user);
    IF tg_op = 'DELETE' THEN
        RETURN old;
    END IF;
    RETURN new;
END $$;
CREATE FUNCTION prod.evil_index(text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    IF current_user NOT IN ('regress_vm_dba', 'regress_vm_feed') THEN
        RAISE EXCEPTION 'index expression runs as %', current_user;
    END IF;
    RETURN $1;
END $$;
CREATE TABLE prod.trap (id text PRIMARY KEY, mood prod.mood, pair prod.pair, word prod.checked, updated_at timestamptz);
CREATE INDEX ON prod.trap (prod.evil_index(id));
SELECT vm.vm_define_mapping('trap', '{"watermark": "updated_at", "on_error": "quarantine"}');
SELECT vm.vm_create_child('prod.trap', 'trap', 'T', 'P', 'trapped');
GRANT SELECT, INSERT, UPDATE ON prod.trapped TO regress_vm_feed;
CREATE TRIGGER evil BEFORE INSERT OR UPDATE OR DELETE ON prod.trap FOR EACH ROW EXECUTE FUNCTION prod.evil_trigger();
CREATE TRIGGER evil BEFORE INSERT OR UPDATE OR DELETE ON prod.trapped FOR EACH ROW EXECUTE FUNCTION prod.evil_trigger();
INSERT INTO prod.trap VALUES ('1', 'sad', ('a', 1), 'c', to_timestamp(9));
SET ROLE regress_vm_feed;
INSERT INTO prod.trapped (_id, _doc) VALUES ('1', '{"id": "1", "mood": "ok", "pair": "(b,2)", "word": "c", "updated_at": 2000}'), ('2', '{"id": "2", "mood": "bad", "word": "c"}');
UPDATE prod.trapped SET _doc = '{"id": "1", "mood": "sad", "pair": "(c,3)", "word": "c", "updated_at": 1000}' WHERE _id = '1';
SET ROLE regress_vm_dba;
SELECT * FROM vm.vm_move_batch('prod.trapped');
SELECT retried FROM vm.vm_retry_quarantine('prod.trapped');
SELECT count(*) FROM vm.vm_preview('trap', 'prod.trapped', '{"id": "1", "word": "c", "mood": "ok"}');
RESET ROLE;
-- A table's owner answers for what its types say to a mapping's defaults, whoever defines it.
CREATE DOMAIN prod.owned AS text CHECK (prod.evil_index(VALUE) <> 'x');
CREATE TABLE prod.owner_answers (_id text, _doc text, word prod.owned);
CREATE TRIGGER t BEFORE INSERT ON prod.owner_answers FOR EACH ROW EXECUTE FUNCTION vm.vm_transform('owned');
ALTER TABLE prod.owner_answers OWNER TO regress_vm_dba;
SELECT vm.vm_define_mapping('owned', '{"columns": {"word": {"default": "y"}}}');
SELECT vm.vm_define_mapping('owned', '{"columns": {"word": {"default": "x"}}}');
SELECT DISTINCT what, who FROM prod.ran_as WHERE who NOT IN ('regress_vm_dba', 'regress_vm_feed') ORDER BY 1, 2;
SELECT count(*) > 0 AS seen FROM prod.ran_as;

--
-- A hostile search_path changes nothing
--
CREATE SCHEMA evil;
GRANT ALL ON SCHEMA evil TO PUBLIC;
SET ROLE regress_vm_nobody;
CREATE TABLE evil.called (what text);
GRANT ALL ON evil.called TO PUBLIC;
CREATE FUNCTION evil.note(what text) RETURNS void LANGUAGE sql AS 'INSERT INTO evil.called VALUES (what)';
DO $$
DECLARE
    op text;
    pair text;
BEGIN
    -- Operators that fit better than the server's, or as well.
    FOREACH op IN ARRAY '{=,<>,<,>,<=,>=,~}'::text[] LOOP
        FOREACH pair IN ARRAY '{"text,text","oid,oid","regclass,oid","name,text","bigint,bigint","bigint,integer","integer,bigint","timestamptz,timestamptz","boolean,boolean","tid,tid","\"char\",text","bytea,bytea"}'::text[] LOOP
            EXECUTE format('CREATE OR REPLACE FUNCTION evil.op(%s) RETURNS boolean LANGUAGE plpgsql AS ''BEGIN PERFORM evil.note(''''operator %s %s''''); RETURN false; END''', pair, op, pair);
            EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.op)', op, split_part(pair, ',', 1), split_part(pair, ',', 2));
        END LOOP;
    END LOOP;
    FOREACH pair IN ARRAY '{"coalesce_(text,text)","now()","clock_timestamp()","md5(text)","count(text)","to_jsonb(record)","to_jsonb(anyelement)","format(text,text)","length(text)","substr(text,integer)","pg_get_indexdef(oid)","pg_get_constraintdef(oid)","quote_ident(name)","convert_to(text,name)","getdatabaseencoding()","array_agg(tid)","unnest(tid[])","current_user()","jsonb_in(cstring)"}'::text[] LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION evil.%s RETURNS text LANGUAGE plpgsql AS ''BEGIN PERFORM evil.note(''''function %s''''); RETURN NULL; END''', pair, pair);
        EXCEPTION WHEN OTHERS THEN
            NULL;  -- a pseudo-type
        END;
    END LOOP;
    EXECUTE 'CREATE OPERATOR evil.- (LEFTARG = jsonb, RIGHTARG = text[], FUNCTION = pg_catalog.jsonb_delete)';
END $$;
CREATE TABLE evil.pg_class (oid oid, relname name);
CREATE TABLE evil.pg_inherits (inhrelid oid, inhparent oid, inhseqno integer);
CREATE TABLE evil.pg_index (indexrelid oid, indrelid oid);
CREATE TABLE evil.pg_attribute (attrelid oid, attname name);
CREATE TABLE evil.pg_trigger (tgrelid oid, tgname name);
CREATE TABLE evil.vm_mapping (mapping text, shipped boolean, rules jsonb, defined_by text, defined_at timestamptz);
INSERT INTO evil.vm_mapping VALUES ('shop', false, '{"columns": {"amount": {"default": 666}}}');
CREATE TABLE evil.vm_anomaly (child regclass, mapping text, _id text);
CREATE TABLE evil.vm_quarantine (child regclass, mapping text, _id text, settled_at timestamptz);
CREATE FUNCTION evil.vm_transform() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE DOMAIN evil.regclass AS text;
CREATE DOMAIN evil.jsonb AS text;
CREATE DOMAIN evil.timestamptz AS text;
CREATE DOMAIN evil.text AS integer;
CREATE DOMAIN evil.name AS integer;
RESET ROLE;
TRUNCATE evil.called;

SET search_path = evil, pg_temp, pg_catalog;
SELECT vm.vm_define_mapping('shop', '{"watermark": "updated_at", "on_error": "quarantine", "columns": {"amount": {"from": "n"}}}');
SELECT vm.vm_create_child('prod.shop', 'shop', 'T', 'P', 'hostile');
INSERT INTO prod.hostile (_id, _doc) VALUES ('h1', '{"id": "h1", "n": 1, "updated_at": 2000}'), ('h2', '{"id": "h2", "n": "x"}'), ('h3', '{"id": "h3", "n": 3, "updated_at": 2000}');
UPDATE prod.hostile SET _doc = '{"id": "h1", "n": 2, "updated_at": 1000}' WHERE _id OPERATOR(pg_catalog.=) 'h1';
UPDATE prod.hostile SET _doc = '{"id": "h3", "n": "x", "updated_at": 3000}' WHERE _id OPERATOR(pg_catalog.=) 'h3';
UPDATE prod.hostile SET _doc = '{"id": "h3", "n": 4, "updated_at": 3000}' WHERE _id OPERATOR(pg_catalog.=) 'h3';
INSERT INTO prod.shop VALUES ('h3', 0, to_timestamp(9));
SELECT column_name, source FROM vm.vm_explain_mapping('shop', 'prod.hostile');
SELECT column_name, value, source, problem FROM vm.vm_preview('shop', 'prod.hostile', '{"id": "p", "n": 1}');
SELECT * FROM vm.vm_move_batch('prod.hostile');
SELECT vm.vm_define_mapping('shop', '{"watermark": "updated_at", "columns": {"amount": {"ignore": true}}}');
SELECT * FROM vm.vm_retry_quarantine('prod.hostile');
SELECT FROM vm.vm_anomaly a, vm.vm_resolve_anomaly(a.anomaly_id, 'seen') WHERE a._id OPERATOR(pg_catalog.=) 'h1';
SELECT vm.hex_to_bigint('ff'), vm.json_arr2int_arr('[1, "2"]');
SELECT vm.vm_drop_mapping('shop');
RESET search_path;
SELECT DISTINCT what FROM evil.called ORDER BY 1;
SELECT tgname, tgfoid::regproc FROM pg_trigger WHERE tgrelid = 'prod.hostile'::regclass AND NOT tgisinternal;
SELECT id, amount, tableoid::regclass FROM prod.shop WHERE id LIKE 'h%' ORDER BY id;
SELECT _id, kind, resolution FROM vm.vm_anomaly WHERE _id LIKE 'h%' ORDER BY anomaly_id;
SELECT _id, settled_by IS NOT NULL AS settled FROM vm.vm_quarantine WHERE _id LIKE 'h%' ORDER BY quarantine_id;
SELECT (SELECT count(*) FROM evil.vm_anomaly) AS anomalies, (SELECT count(*) FROM evil.vm_quarantine) AS quarantined;

SET client_min_messages = warning;
DROP SCHEMA evil, prod CASCADE;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vm FROM regress_vm_feed, regress_vm_dba, regress_vm_nobody;
REVOKE ALL ON SCHEMA vm FROM regress_vm_feed, regress_vm_dba, regress_vm_nobody;
DROP ROLE regress_vm_feed, regress_vm_dba, regress_vm_nobody;
DELETE FROM vm.vm_mapping WHERE NOT shipped;
DELETE FROM vm.vm_anomaly;
DELETE FROM vm.vm_quarantine;
