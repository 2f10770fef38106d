-- The steps of a project: recorded, refused before their time, and what comes next.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_operator;
\pset null '<NULL>'
\set SHOW_CONTEXT never

CREATE SCHEMA steps;
CREATE TABLE steps.vouchers (
    tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, code text, type text, deleted boolean, discount jsonb, publish jsonb,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, PRIMARY KEY (tenant_id, project_id, id)
);
CREATE TABLE steps.campaigns (
    tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, name text, campaign_type text, deleted boolean,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, PRIMARY KEY (tenant_id, project_id, id)
);
SELECT * FROM vm_next('acme', 'p1');
SELECT vm_record_step('acme', 'p1', 'source_check');
INSERT INTO vm_project (tenant, project) VALUES ('acme', 'p1'), ('acme', 'p2'), ('acme', 'dirty'), ('o''hara', 'p "1"');
SELECT * FROM vm_next('acme', 'p1');
INSERT INTO vm_parent (entity, parent, mapping, move_order, closed, source_collection) VALUES
    ('vouchers', 'steps.vouchers', 'voucher', 1, 'deleted', 'vouchers'), ('campaigns', 'steps.campaigns', 'campaign', 2, NULL, 'campaigns');
CREATE FUNCTION steps.voucher(n integer, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('_id', jsonb_build_object('$oid', '5dea38507b0b3a00' || lpad(n::text, 8, '0')), 'id', 'v_' || n, 'code', 'C' || n,
        'type', 'DISCOUNT_VOUCHER', 'discount', '{"type": "UNIT"}'::jsonb, 'deleted', n % 3 = 0, 'updatedAt', '{"$date": 1575648464123}'::jsonb) || changes)::text
$$;
CREATE FUNCTION steps.campaign(n integer, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('_id', jsonb_build_object('$oid', '5dea38507b0b3a00' || lpad(n::text, 8, '0')), 'id', 'camp_' || n, 'name', 'summer' || n,
        'campaign_type', 'STATIC', 'updatedAt', '{"$date": 1575648464123}'::jsonb) || changes)::text
$$;
-- What vm_record_step refuses: what others record, what does not exist, what comes too early.
CREATE FUNCTION steps.refused(command text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE command;
    RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN sqlstate || ': ' || concat_ws(E'\n       ', sqlerrm, nullif(detail, ''), nullif(hint, ''));
END $$;
\pset format unaligned
\pset tuples_only on
SELECT steps.refused(format('SELECT vm_record_step(%L, %L, %L)', 'acme', 'p1', step))
FROM unnest('{prepare,check,move_closed,switch,anomaly_check,move,finish,feed_stop,feed_start,"",nothing}'::text[]) step;
SELECT steps.refused(command) FROM unnest(ARRAY[
    $$SELECT vm_record_step(NULL, 'p1', 'source_check')$$,
    $$SELECT vm_record_step('acme', 'p1', NULL)$$,
    $$SELECT vm_record_step('acme', 'p1', 'source_check', entity => 'nothing')$$,
    $$SELECT vm_record_step('nobody', 'p1', 'source_check')$$,
    $$SELECT vm_check_project('acme', 'p1')$$,
    $$SELECT vm_check_project('acme', 'p1', 'nothing')$$,
    $$SELECT vm_check_project(NULL, 'p1')$$,
    $$SELECT vm_check_anomalies('acme', 'p1')$$,
    $$SELECT vm_check_anomalies('acme', NULL)$$,
    $$SELECT vm_next('acme', NULL)$$,
    $$SELECT vm_next('acme', 'p9')$$]) command;
\pset format aligned
\pset tuples_only off
SELECT count(*) FROM vm_history;

--
-- A project from its registration to its end, by nothing but what vm_next says
--
CREATE FUNCTION steps.feed(tenant text, project text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    vouchers regclass := (SELECT child FROM vm.vm_project_entity e WHERE (e.tenant, e.project, entity) = ($1, $2, 'vouchers'));
    campaigns regclass := (SELECT child FROM vm.vm_project_entity e WHERE (e.tenant, e.project, entity) = ($1, $2, 'campaigns'));
BEGIN
    EXECUTE format('INSERT INTO %s (_id, _doc) SELECT ''v'' || n, steps.voucher(n) FROM generate_series(1, 9) n', vouchers);
    EXECUTE format('INSERT INTO %s (_id, _doc) SELECT ''c'' || n, steps.campaign(n) FROM generate_series(1, 3) n', campaigns);
END $$;
-- What vm_next says, but for the switch without the times in its result and without waiting for the feed. What is to be done first has
-- been done here, so do_first is not looked at.
CREATE FUNCTION steps.go(tenant text, project text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE step WHEN 'switch' THEN regexp_replace(replace(statement, '* FROM', 'entity, rows_staged, warnings FROM'), '\);$', ', quiet_seconds => 0);')
        ELSE statement END
    FROM vm.vm_next($1, $2) WHERE why_not_yet IS NULL
$$;
\set show 'SELECT step_number AS n, steps, step, entity, statement, why_not_yet FROM vm_next(:\'tenant\', :\'project\');'
\set go 'SELECT steps.go(:\'tenant\', :\'project\')'
\set tenant acme
\set project p1
SELECT * FROM vm_next('acme', 'p1') \gx
:go \gexec
:show
:go \gexec
SELECT * FROM vm_next('acme', 'p1') \gx
:go \gexec
SELECT steps.feed('acme', 'p1');
:show
:go \gexec
:show
:go \gexec
:show
:go \gexec
:show
:go \gexec
:show
:go \gexec
:show
:go \gexec
:show
:go \gexec
:show
SELECT statement, do_first FROM vm_next('acme', 'p1') \gx
:go \gexec
:show
:go \gexec
:show
SELECT (SELECT count(*) FROM ONLY steps.vouchers) AS vouchers, (SELECT count(*) FROM ONLY steps.campaigns) AS campaigns, to_regclass('steps.vouchers_acme_p1') AS child;
SELECT entity, step, passed, regexp_replace(found, ' \(\d+\)', '') AS found, done_by = current_user AS by_me FROM vm_history WHERE project = 'p1' ORDER BY history_id;
\pset format unaligned
\pset tuples_only on
SELECT steps.refused(command) FROM unnest(ARRAY[
    $$SELECT vm_record_step('acme', 'p1', 'feed_stop')$$,
    $$SELECT vm_check_project('acme', 'p1')$$]) command;
\pset format aligned
\pset tuples_only off
SELECT * FROM vm_check_anomalies('acme', 'p1');

--
-- The other order, names that need quotes, a feed that is seen by its rows
--
UPDATE vm_parent SET move_active = 'before_switch', move_order = 3 - move_order;
\set tenant 'o\'hara'
\set project 'p "1"'
SELECT vm_record_step(tenant, project, 'source_check', 'clean') FROM vm_project WHERE tenant = 'o''hara';
:go \gexec
:show
SELECT vm_check_project('o''hara', 'p "1"');
BEGIN;
INSERT INTO steps."vouchers_o'hara_p ""1""" (_id) VALUES ('half');
:show
SELECT vm_check_project('o''hara', 'p "1"');
ROLLBACK;
SELECT steps.feed('o''hara', 'p "1"');
:show
:go \gexec
SELECT entity, step, passed, found FROM vm_history WHERE tenant = 'o''hara' AND step IN ('feed_start', 'check') ORDER BY history_id;
:show
:go \gexec
:show
:go \gexec
:show
:go \gexec
:show
:go \gexec
:show
-- A row that came after the move is moved after the switch.
INSERT INTO steps."vouchers_o'hara_p ""1""" (_id, _doc) VALUES ('late', steps.voucher(10));
:show
:go \gexec
:go \gexec
:go \gexec
:show
SELECT project_id, count(*) FROM ONLY steps.vouchers GROUP BY 1 ORDER BY 1;
UPDATE vm_parent SET move_active = 'after_switch', move_order = 3 - move_order;

--
-- A dirty project stops until it is mended, or overridden
--
\set tenant acme
\set project dirty
:go \gexec
:go \gexec
:go \gexec
SELECT steps.feed('acme', 'dirty');
INSERT INTO steps.vouchers_acme_dirty (_id, _doc) SELECT 'bad' || n, steps.voucher(n, '{"id": null, "discount": null}') FROM generate_series(11, 11) n;
INSERT INTO steps.vouchers_acme_dirty (_id) VALUES ('half');
SELECT entity, check_name, severity, rows, sample_ids FROM vm_check_project('acme', 'dirty');
DELETE FROM vm_feed_seen;
SELECT why_not_yet, do_first FROM vm_next('acme', 'dirty') \gx
-- One entity alone; both are on record.
SELECT entity, check_name FROM vm_check_project('acme', 'dirty', entity => 'campaigns');
SELECT entity, check_at IS NOT NULL AS checked FROM vm_project_entity WHERE project = 'dirty' ORDER BY 1;
INSERT INTO vm_feed_seen VALUES ('steps.vouchers_acme_dirty', 0, clock_timestamp() - interval '125 minutes');
UPDATE vm_project_entity SET prepare_at = prepare_at - interval '1 day' WHERE project = 'dirty';
SELECT why_not_yet FROM vm_next('acme', 'dirty');
UPDATE steps.vouchers_acme_dirty SET _doc = steps.voucher(11, '{"discount": null}') WHERE _id = 'bad11';
DELETE FROM ONLY steps.vouchers_acme_dirty WHERE _id = 'half';
SELECT entity, check_name, severity, rows, sample_ids FROM vm_check_project('acme', 'dirty');
:show
-- So do open cases, of which the check was before.
INSERT INTO vm_anomaly (child, mapping, _id, kind, incoming) VALUES ('steps.vouchers_acme_dirty', 'voucher', 'a', 'late_document', '{}');
CALL vm_move('steps.vouchers_acme_dirty', 'deleted', quiet => true);
SELECT step, entity, why_not_yet, do_first FROM vm_next('acme', 'dirty') \gx
DELETE FROM vm_anomaly;
-- A check that cannot be asked has not passed.
SELECT vm_define_check('broken', 'steps.campaigns', 'name::integer > 0');
SELECT entity, check_name, severity, rows, hint FROM vm_check_project('acme', 'dirty');
SELECT why_not_yet FROM vm_next('acme', 'dirty');
SELECT entity, check_at IS NOT NULL AS checked FROM vm_project_entity WHERE project = 'dirty' ORDER BY 1;
SELECT vm_drop_check('broken');
SELECT DISTINCT vm_switch('acme', 'dirty', NULL, 'campaigns are known', quiet_seconds => 0) IS NOT NULL AS switched;
SELECT step, entity FROM vm_next('acme', 'dirty');
SELECT vm_record_step('acme', 'dirty', 'feed_stop');
-- Open cases stop it: also those from before prepare, but for those of a pool's child.
INSERT INTO vm_anomaly (child, mapping, _id, kind, incoming) SELECT child, 'voucher', _id, 'late_document', '{}'
    FROM vm_project_entity, unnest('{a,b}'::text[]) _id WHERE project = 'dirty' AND entity = 'vouchers';
INSERT INTO vm_quarantine (child, mapping, _id, _doc, operation, sqlstate, message, staged_row) SELECT child, 'voucher', 'q', '{}', 'MOVE', '22P02', 'bad', '{}'
    FROM vm_project_entity WHERE project = 'dirty' AND entity = 'vouchers';
INSERT INTO vm_quarantine (child, mapping, _id, _doc, operation, sqlstate, message, quarantined_at, last_attempt_at)
    SELECT child, 'voucher', 'earlier', '{}', 'INSERT', '22P02', 'bad', prepare_at - interval '1 s', prepare_at - interval '1 s'
    FROM vm_project_entity WHERE project = 'dirty' AND entity = 'vouchers';
SELECT * FROM vm_check_anomalies('acme', 'dirty');
UPDATE vm_project_entity SET pooled = true WHERE project = 'dirty' AND entity = 'vouchers';
SELECT * FROM vm_check_anomalies('acme', 'dirty');
SELECT step, entity, statement, why_not_yet, do_first FROM vm_next('acme', 'dirty') \gx
SELECT vm_resolve_anomaly(anomaly_id, 'ours') FROM vm_anomaly;
DELETE FROM vm_quarantine WHERE _id = 'q';
:show
:go \gexec
:show
-- A move at work, one that is gone, rows that cannot move.
INSERT INTO vm_move_run (child, parent, on_conflict, locking, path, rows_estimated, inserted, rows_per_second, started_by, started_at)
    VALUES ('steps.vouchers_acme_dirty', 'steps.vouchers', 'newer', 'claim', 'native', 1000, 430, 2, current_user, now());
:show
-- Paused: at work and waiting for it, or none that would go on.
SELECT vm_pause_move('steps.vouchers_acme_dirty');
UPDATE vm_move_control SET paused_by = 'a dba', paused_at = now() - interval '5 minutes';
SELECT why_not_yet, do_first FROM vm_next('acme', 'dirty');
DELETE FROM vm_move_run;
SELECT why_not_yet, do_first FROM vm_next('acme', 'dirty');
SELECT do_first FROM vm_next('acme', 'dirty') \gexec
DELETE FROM vm_move_control;
:go \gexec
INSERT INTO steps.vouchers_acme_dirty (_id) VALUES ('half');
DELETE FROM vm_feed_seen;
SELECT step, entity, statement, why_not_yet, do_first FROM vm_next('acme', 'dirty') \gx
DELETE FROM ONLY steps.vouchers_acme_dirty;
:go \gexec
-- The feed may be stopped before the last row has moved.
SELECT vm_record_step('acme', 'dirty', 'feed_stop', 'task removed', 'vouchers');
:show
SELECT entity, step, passed, regexp_replace(found, ' \(\d+\)', '') AS found, override_reason FROM vm_history WHERE project = 'dirty' ORDER BY history_id;

--
-- Who may not read the registry, nor the child
--
\set project p2
SELECT vm_record_step(tenant, project, 'source_check', 'clean') FROM vm_project WHERE project = 'p2';
:go \gexec
SELECT steps.feed('acme', 'p2');
CREATE ROLE regress_vm_operator;
GRANT USAGE ON SCHEMA vm, steps TO regress_vm_operator;
SET ROLE regress_vm_operator;
SELECT vm_next('acme', 'p2');
RESET ROLE;
GRANT EXECUTE ON FUNCTION vm_next(text, text), vm_record_step(text, text, text, text, text), vm_check_project(text, text, text), vm_check_anomalies(text, text)
    TO regress_vm_operator;
SET ROLE regress_vm_operator;
:show
SELECT vm_check_project('acme', 'p2');
SELECT vm_record_step('acme', 'p2', 'feed_start', 'by task 7');
:show
RESET ROLE;
GRANT SELECT ON steps.vouchers_acme_p2, steps.campaigns_acme_p2, steps.vouchers, steps.campaigns TO regress_vm_operator;
SET ROLE regress_vm_operator;
SELECT entity, check_name, rows FROM vm_check_project('acme', 'p2');
:show
-- Not in the search_path, everything is named in full; so it is if another function has the name.
SET search_path = pg_catalog;
SELECT statement FROM vm.vm_next('acme', 'p2');
RESET ROLE;
CREATE FUNCTION steps.vm_check_project(text, text, text) RETURNS void LANGUAGE sql AS 'SELECT';
SET search_path = steps, vm, public;
\set VERBOSITY terse
SELECT vm.vm_check_anomalies('acme', 'p2');
UPDATE vm_project_entity SET check_at = NULL WHERE project = 'p2' AND entity = 'campaigns';
SELECT statement FROM vm_next('acme', 'p2');
\set VERBOSITY default
DROP FUNCTION steps.vm_check_project(text, text, text);
SET search_path = vm, public;
SELECT done_by, entity, step, found FROM vm_history WHERE project = 'p2' ORDER BY history_id;
-- Who may not read a child gets the answer from the record.
SET ROLE regress_vm_operator;
:show
RESET ROLE;
REVOKE SELECT ON steps.vouchers_acme_p2 FROM regress_vm_operator;
UPDATE vm_project_entity SET check_at = now() WHERE project = 'p2';
SET ROLE regress_vm_operator;
:show
RESET ROLE;
UPDATE vm_project_entity SET move_closed_at = now() WHERE project = 'p2' AND entity = 'vouchers';
SET ROLE regress_vm_operator;
SELECT step, entity FROM vm_next('acme', 'p2');
RESET ROLE;
UPDATE vm_project_entity SET switch_at = now(), anomaly_check_at = now() WHERE project = 'p2';
SET ROLE regress_vm_operator;
SELECT step, entity FROM vm_next('acme', 'p2');
RESET ROLE;
UPDATE vm_project_entity SET move_at = now() WHERE project = 'p2' AND entity = 'vouchers';
SET ROLE regress_vm_operator;
SELECT step, entity FROM vm_next('acme', 'p2');
RESET ROLE;
UPDATE vm_project_entity SET switch_at = NULL, anomaly_check_at = NULL, move_at = NULL, move_closed_at = NULL WHERE project = 'p2';
-- One entity is switched, the other not yet.
UPDATE vm_project_entity SET switch_at = now() WHERE project = 'p2' AND entity = 'vouchers';
SELECT step, entity, statement FROM vm_next('acme', 'p2');
SELECT entity FROM vm_check_anomalies('acme', 'p2');
SELECT entity, passed, found FROM vm_history WHERE project = 'p2' AND step = 'anomaly_check';
UPDATE vm_project_entity SET switch_at = NULL, anomaly_check_at = NULL WHERE project = 'p2';
-- A parent that is registered later.
CREATE TABLE steps.orders (id text PRIMARY KEY, updated_at timestamptz);
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('orders', 'steps.orders', 'voucher', 3, 'orders');
SELECT step, entity, statement FROM vm_next('acme', 'p1');
SELECT vm_record_step('acme', 'p1', 'source_check', 'clean', 'orders');
SELECT step, entity, statement FROM vm_next('acme', 'p1');
DELETE FROM vm_project_entity WHERE entity = 'orders';
DELETE FROM vm_parent WHERE entity = 'orders';
-- A condition that cannot be asked, a child that is gone.
UPDATE vm_project_entity SET check_at = now() WHERE project = 'p2';
UPDATE vm_parent SET closed = 'nothing.nothing(id)' WHERE entity = 'vouchers';
SELECT step, statement FROM vm_next('acme', 'p2');
UPDATE vm_project_entity SET move_closed_at = now() WHERE project = 'p2' AND entity = 'vouchers';
SELECT step, statement FROM vm_next('acme', 'p2');
UPDATE vm_parent SET closed = 'deleted' WHERE entity = 'vouchers';
DROP TABLE steps.campaigns_acme_p2;
SELECT step, entity, statement FROM vm_next('acme', 'p2');
SELECT vm_check_project('acme', 'p2');
-- Nothing that writes on a standby or in a read-only transaction.
BEGIN READ ONLY;
SELECT step FROM vm_next('acme', 'p2');
SELECT vm_record_step('acme', 'p2', 'source_check');
ROLLBACK;

SET client_min_messages = warning;
DELETE FROM vm_project_entity;
DELETE FROM vm_flag;
DELETE FROM vm_parent;
DELETE FROM vm_project;
TRUNCATE vm_history, vm_feed_seen, vm_anomaly, vm_quarantine, vm_move_run, vm_move_batches, vm_move_place;
DROP SCHEMA steps CASCADE;
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vm FROM regress_vm_operator;
REVOKE ALL ON SCHEMA vm FROM regress_vm_operator;
DROP ROLE regress_vm_operator;
