-- CALL vm_migrate: projects at rest, all steps, in background workers.
SET search_path = vm, public;
\pset null ''
\set SHOW_CONTEXT never
CREATE SCHEMA mig;
CREATE TABLE mig.campaign (id text PRIMARY KEY, deleted boolean, updated_at timestamptz);
CREATE TABLE mig.voucher (id text PRIMARY KEY, code text, deleted boolean, updated_at timestamptz);
SELECT vm_define_mapping('mig', '{"watermark": ["updated_at"]}');
SELECT vm_register_parent('mig.campaign', 'mig', 'campaign'), vm_register_parent('mig.voucher', 'mig', 'voucher');
SELECT vm_add_projects($$SELECT 'acme', 'p' || i FROM generate_series(1, 3) i$$), vm_add_project('O''Neil "x"', 'ü %s');
CREATE VIEW mig.outcome AS
SELECT dense_rank() OVER (ORDER BY run_id) AS run, tenant, project, state, step, entity, why, hint FROM vm_migrate_progress ORDER BY run_id, tenant, project;
CREATE FUNCTION mig.load(child regclass, prefix text, rows integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s (_id, _doc) SELECT i, format(''{"id":"%s-%%s","deleted":%%s,"updated_at":{"$date":1600000000000}}'', i, (i > 1)::text)
        FROM generate_series(1, %s) i', child, prefix, rows);
END $$;

-- Nobody vouches for the source, then for the feed.
CALL vm_migrate(quiet => true);
CALL vm_migrate(source_checked => 'clean', quiet => true);
SELECT * FROM mig.outcome;

-- A dirty one stops, the others go on.
SELECT mig.load('mig.voucher_acme_p1', 'a', 3), mig.load('mig.campaign_acme_p1', 'a', 2), mig.load('mig.voucher_acme_p2', 'b', 3);
INSERT INTO mig.voucher_acme_p2 (_id) VALUES ('half');
SELECT mig.load(child, 'o', 2) FROM vm_project_entity WHERE tenant LIKE 'O%' AND entity = 'voucher';
CALL vm_migrate('tenant <> ''none'' -- all of them', 3, feed_started => 'loaded', feed_stopped => 'there is none', finish => true, quiet => true);
SELECT tenant, project, state, step, entity, regexp_replace(why, '\d+ s ago', '… ago') AS why, hint FROM mig.outcome WHERE run = 3;
SELECT id FROM ONLY mig.voucher ORDER BY id;
SELECT entity, step, found FROM vm_history WHERE (tenant, project) = ('acme', 'p1') AND step IN ('source_check', 'feed_start', 'feed_stop') ORDER BY history_id;
SELECT count(*) FROM pg_inherits WHERE inhparent IN ('mig.voucher'::regclass, 'mig.campaign'::regclass);
-- Again, once it is clean: only what is not finished.
DELETE FROM mig.voucher_acme_p2 WHERE _doc IS NULL;
CALL vm_migrate(feed_stopped => 'there is none', finish => true, whole => true, quiet => true);
SELECT * FROM mig.outcome WHERE run = 4;
CALL vm_migrate();
SELECT count(*) FROM ONLY mig.voucher;
SELECT count(*) FROM vm_migrate_run WHERE ended_at IS NULL;

-- Refused.
\set SHOW_CONTEXT errors
CALL vm_migrate('nosuch = 1');
CALL vm_migrate('tenant = ');
CALL vm_migrate('true; DROP TABLE mig.voucher');
CALL vm_migrate('true) OR (true');
\set SHOW_CONTEXT never
CALL vm_migrate(movers => 0);
CALL vm_migrate(movers => 65);
CALL vm_migrate(movers => NULL);
CALL vm_migrate(quiet_seconds => -1);
CALL vm_migrate(quiet_seconds => 'NaN');
BEGIN;
CALL vm_migrate();
ROLLBACK;
SET default_transaction_read_only = on;
CALL vm_migrate();
RESET default_transaction_read_only;
SELECT count(*) FROM vm_migrate_run;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid();

-- The filter has the caller's search_path, and his rights.
CREATE FUNCTION mig.chosen(text) RETURNS boolean LANGUAGE sql AS $$ SELECT $1 = 'p9' $$;
SELECT vm_add_project('acme', 'p8'), vm_add_project('acme', 'p9');
SET search_path = mig, vm;
SET statement_timeout = '10min';
CALL vm_migrate('chosen(project)', quiet => true);
SELECT tenant, project, state FROM mig.outcome WHERE run = 5;
SELECT filter, role, s AS setting FROM vm_migrate_run, unnest(settings) s WHERE run_id = (SELECT max(run_id) FROM vm_migrate_run) AND s ~ '^(search|statement)' ORDER BY s;
RESET statement_timeout;
SET search_path = vm, public;

-- A step that raises.
SET client_min_messages = warning;
CREATE TABLE mig.campaign_acme_p8 (id text);
CALL vm_migrate('project = ''p8''', source_checked => 'clean', quiet => true);
SELECT * FROM mig.outcome WHERE run = 6;

DROP SCHEMA mig CASCADE;
DELETE FROM vm_project_entity;
DELETE FROM vm_history;
DELETE FROM vm_flag;
DELETE FROM vm_project;
DELETE FROM vm_parent;
DELETE FROM vm_migrate_run;
DELETE FROM vm_move_run;
DELETE FROM vm_move_batches;
SELECT vm_drop_mapping('mig');
RESET client_min_messages;
RESET search_path;
