-- Conditions that one role has stored and another asks: they get the rights of the tables' owner, and the session stays as it is.
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_shop, regress_vm_reader;
RESET client_min_messages;
SET search_path = vm, public;
\set SHOW_CONTEXT never
CREATE ROLE regress_vm_shop;
CREATE ROLE regress_vm_reader;
CREATE SCHEMA cond AUTHORIZATION regress_vm_shop;
GRANT USAGE ON SCHEMA vm TO regress_vm_shop, regress_vm_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA vm TO regress_vm_shop;
GRANT EXECUTE ON FUNCTION vm_check(regclass) TO regress_vm_reader;
SELECT vm_define_mapping('cond', '{"watermark": "updated_at"}');

SET ROLE regress_vm_shop;
CREATE TABLE cond.shop (id text PRIMARY KEY, code text, updated_at timestamptz);
CREATE TABLE cond.city (id text PRIMARY KEY, code text, shops integer, updated_at timestamptz);
GRANT USAGE ON SCHEMA cond TO regress_vm_reader;
-- Says who it is, and does what it can to the session.
CREATE FUNCTION cond.evil(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE '% as %', what, (SELECT CASE WHEN rolsuper THEN 'a superuser' ELSE rolname END FROM pg_catalog.pg_roles WHERE rolname = current_user);
    PERFORM pg_catalog.set_config('search_path', 'cond', false), pg_catalog.set_config('row_security', 'off', false),
        pg_catalog.set_config('statement_timeout', '60s', false), pg_catalog.set_config('work_mem', '1MB', true);
    BEGIN
        PERFORM pg_catalog.set_config('role', 'none', false);
    EXCEPTION WHEN OTHERS THEN
        RAISE NOTICE '%', SQLERRM;
    END;
    RETURN false;
END $$;
SELECT vm_register_parent('cond.shop', 'cond', 'shop', closed => 'cond.evil(''closed'')'), vm_register_parent('cond.city', 'cond', 'city', closed => 'false');
SELECT vm_define_check('evil', 'cond.shop', 'cond.evil(''check'')');
SELECT vm_define_reference('shop', 'code', 'city', count_column => 'shops', counted => 'cond.evil(''counted'')');
RESET ROLE;

-- The children are the superuser's, who asks.
SELECT vm_add_project('T', 'P');
SELECT vm_record_step('T', 'P', 'source_check', 'clean');
SELECT * FROM vm_prepare('T', 'P');
INSERT INTO cond."shop_T_P" (_id, _doc) VALUES ('1', '{"id": "1", "code": "a", "updated_at": 1}');
INSERT INTO cond."city_T_P" (_id, _doc) VALUES ('1', '{"id": "a", "shops": 0, "updated_at": 1}');
CREATE FUNCTION session() RETURNS text LANGUAGE sql AS $$
    SELECT pg_catalog.string_agg(name || ' = ' || setting, ', ' ORDER BY name) FROM pg_catalog.pg_settings
    WHERE name IN ('search_path', 'row_security', 'statement_timeout', 'work_mem', 'role') $$;
SELECT session();
BEGIN;
SELECT check_name, rows FROM vm_check('cond."shop_T_P"') WHERE rows > 0 OR rows IS NULL;
SELECT check_name, rows FROM vm_check('cond."city_T_P"') WHERE rows > 0 OR rows IS NULL;
SELECT session();
SELECT count(*) FROM vm_check_project('T', 'P', 'shop');
SELECT count(*) FROM vm_check_project('T', 'P', 'city');
SELECT step, entity FROM vm_next('T', 'P');
SELECT session();
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT session();
ROLLBACK;

-- A parent that is given away: its new owner may not read the superuser's child, and nobody asks as the superuser.
BEGIN;
CREATE ROLE regress_vm_other;
GRANT CREATE ON SCHEMA cond TO regress_vm_other;
ALTER TABLE cond.city OWNER TO regress_vm_other;
ALTER TABLE cond.shop OWNER TO regress_vm_other;
SELECT check_name, rows, hint FROM vm_check('cond."shop_T_P"') WHERE rows IS NULL;
SELECT check_name, rows, hint FROM vm_check('cond."city_T_P"') WHERE rows IS NULL;
SELECT step, entity FROM vm_next('T', 'P');
ROLLBACK;

-- Who may only read asks with his own rights, and sees no row that he may not see.
GRANT SELECT ON ALL TABLES IN SCHEMA cond TO regress_vm_reader;
CREATE FUNCTION evil_rows() RETURNS SETOF text SET client_min_messages = notice LANGUAGE sql AS $$
    SELECT check_name || ' ' || coalesce(rows::text, hint) FROM vm.vm_check('cond."shop_T_P"') WHERE check_name IN ('evil', 'any') $$;
SELECT vm_define_check('any', 'cond.shop', 'id IS NOT NULL', 'info');
SET ROLE regress_vm_reader;
SELECT evil_rows();
RESET ROLE;
ALTER TABLE cond."shop_T_P" ENABLE ROW LEVEL SECURITY;
CREATE POLICY none ON cond."shop_T_P" FOR SELECT TO regress_vm_reader USING (false);
SET ROLE regress_vm_reader;
SELECT evil_rows();
RESET ROLE;
-- Policies hide the rows from the parent's owner; the superuser's child is not asked as the superuser.
\set VERBOSITY terse
SELECT evil_rows();
-- From both: the superuser is not told that nothing is found.
ALTER TABLE cond."shop_T_P" OWNER TO regress_vm_shop;
ALTER TABLE cond."shop_T_P" FORCE ROW LEVEL SECURITY;
SELECT evil_rows();
\set VERBOSITY default

SET client_min_messages = warning;
SELECT vm_drop_check(c) FROM unnest('{evil,any}'::text[]) c;
SELECT vm_drop_reference('shop', 'code');
DELETE FROM vm_history;
DELETE FROM vm_project_entity;
DELETE FROM vm_project;
DELETE FROM vm_parent;
DELETE FROM vm_feed_seen;
DROP FUNCTION evil_rows(), session();
DROP SCHEMA cond CASCADE;
SELECT vm_drop_mapping('cond');
DROP OWNED BY regress_vm_shop, regress_vm_reader;
DROP ROLE regress_vm_shop, regress_vm_reader;
