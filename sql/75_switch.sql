-- The switch: the flag that applications read, what stands in the way of it, and back.
SET search_path = vm, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_app, regress_vm_lead;
RESET client_min_messages;
\pset null '<NULL>'
\set SHOW_CONTEXT never

--
-- The flag: false for what is unknown, NULL for NULL; by hand or not, it is seen at once
--
SELECT vm_is_switched('T', 'P', 'vouchers') AS unknown, vm_is_switched(NULL, 'P', 'vouchers') AS "no tenant", vm_is_switched('T', 'P', NULL) AS "no entity";
INSERT INTO vm_flag (tenant, project, entity, switched) VALUES ('T', 'P', 'vouchers', true), ('T', 'off', 'vouchers', false), ('TP', '', 'vouchers', true);
SELECT vm_is_switched('T', 'P', 'vouchers') AS vouchers, vm_is_switched('T', 'P', 'campaigns') AS campaigns, vm_is_switched('T', 'off', 'vouchers') AS off,
    vm_is_switched('T', 'P', 'Vouchers') AS "Vouchers", vm_is_switched('TP', '', 'vouchers') AS "TP", vm_is_switched('', 'TP', 'vouchers') AS "other TP";
UPDATE vm_flag SET switched = false WHERE project = 'P';
SELECT vm_is_switched('T', 'P', 'vouchers');
UPDATE vm_flag SET entity = 'campaigns', switched = true WHERE project = 'P';
SELECT vm_is_switched('T', 'P', 'vouchers') AS vouchers, vm_is_switched('T', 'P', 'campaigns') AS campaigns;
DELETE FROM vm_flag WHERE entity = 'campaigns';
SELECT vm_is_switched('T', 'P', 'campaigns');
INSERT INTO vm_flag (tenant, project, entity, switched) VALUES ('T', 'P', 'vouchers', true) ON CONFLICT (tenant, project, entity) DO UPDATE SET switched = true;
SELECT vm_is_switched('T', 'P', 'vouchers');
TRUNCATE vm_flag;
SELECT vm_is_switched('T', 'P', 'vouchers');
COPY vm_flag (tenant, project, entity, switched) FROM stdin;
T	P	vouchers	t
\.
SELECT vm_is_switched('T', 'P', 'vouchers');
SET session_replication_role = replica;
UPDATE vm_flag SET switched = false;
RESET session_replication_role;
SELECT vm_is_switched('T', 'P', 'vouchers');
-- One's own change, and its end by savepoint, rollback and commit.
BEGIN;
SELECT vm_is_switched('T', 'P', 'vouchers') AS before;
UPDATE vm_flag SET switched = true;
SELECT vm_is_switched('T', 'P', 'vouchers') AS own;
SAVEPOINT one;
UPDATE vm_flag SET switched = false;
SELECT vm_is_switched('T', 'P', 'vouchers') AS again;
ROLLBACK TO one;
SELECT vm_is_switched('T', 'P', 'vouchers') AS rolled_back;
ROLLBACK;
SELECT vm_is_switched('T', 'P', 'vouchers');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT vm_is_switched('T', 'P', 'vouchers') AS before;
SAVEPOINT one;
UPDATE vm_flag SET switched = true;
SELECT vm_is_switched('T', 'P', 'vouchers') AS own;
ROLLBACK TO one;
SELECT vm_is_switched('T', 'P', 'vouchers') AS rolled_back;
UPDATE vm_flag SET switched = true;
COMMIT;
SELECT vm_is_switched('T', 'P', 'vouchers');
-- Read only, serializable, in a plan with workers, in a condition; more keys than are kept, each right the second time too.
BEGIN READ ONLY ISOLATION LEVEL SERIALIZABLE;
SELECT vm_is_switched('T', 'P', 'vouchers'), vm_is_switched('T', 'P', 'vouchers') AS again;
COMMIT;
BEGIN;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) > 0 AS switched FROM pg_class WHERE relname = 'vm_flag' AND vm_is_switched('T', 'P', 'vouchers');
ROLLBACK;
CREATE TABLE public.many AS SELECT 'p' || n AS project FROM generate_series(1, 25000) n;
INSERT INTO vm_flag (tenant, project, entity, switched) SELECT 'many', project, 'vouchers', true FROM public.many WHERE project LIKE '%7';
SELECT count(*) FILTER (WHERE s) AS switched, count(*) AS asked FROM (SELECT vm_is_switched('many', project, 'vouchers') AS s FROM public.many) x;
SELECT count(*) FILTER (WHERE vm_is_switched('many', project, 'vouchers') = (project LIKE '%7')) AS right FROM public.many;
SELECT pg_size_bytes('8 MB') > sum(total_bytes) AS bounded FROM pg_backend_memory_contexts m WHERE m::text LIKE '%voucher_migrate flags%';
DROP TABLE public.many;
TRUNCATE vm_flag;

--
-- A project: two entities, their children, a third that takes part in no project yet
--
CREATE SCHEMA "Prod";
CREATE TABLE "Prod".vouchers (
    tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, code text, type text, deleted boolean, discount jsonb, publish jsonb,
    created_at timestamptz, updated_at timestamptz, deleted_at timestamptz, PRIMARY KEY (tenant_id, project_id, id)
);
CREATE TABLE "Prod"."Cam""paigns" (
    tenant_id text, project_id text, id text PRIMARY KEY, name text, campaign_type text, deleted boolean, created_at timestamptz, updated_at timestamptz,
    deleted_at timestamptz
);
CREATE TABLE public.plain (id text PRIMARY KEY, note text);
SELECT vm_define_mapping('plain', '{}');
SELECT vm_create_child('"Prod".vouchers', 'voucher', 'T', 'P', 'staged_v');
SELECT vm_create_child('"Prod"."Cam""paigns"', 'campaign', 'T', 'P', 'Staged "c"');
SELECT vm_create_child('public.plain', 'plain', 'T', 'P', 'staged_plain');
CREATE FUNCTION public.voucher(n integer, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('_id', jsonb_build_object('$oid', '5dea38507b0b3a00' || lpad(n::text, 8, '0')), 'id', 'v_' || n,
        'code', 'C' || n, 'type', 'DISCOUNT_VOUCHER', 'discount', '{}'::jsonb, 'updatedAt', '{"$date": 1575648464123}'::jsonb) || changes)::text
$$;
CREATE FUNCTION public.campaign(n integer, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('_id', jsonb_build_object('$oid', '5dea38507b0b3a00' || lpad(n::text, 8, '0')), 'id', 'camp_' || n,
        'name', 'summer', 'campaign_type', 'STATIC', 'updatedAt', '{"$date": 1575648464123}'::jsonb) || changes)::text
$$;
SELECT * FROM vm_switch('T', 'P');
INSERT INTO vm_parent (entity, parent, mapping, move_order, closed, move_active, source_collection) VALUES
    ('vouchers', '"Prod".vouchers', 'voucher', 1, 'deleted', 'after_switch', 'vouchers'),
    ('Camp "x"', '"Prod"."Cam""paigns"', 'campaign', 2, NULL, 'before_switch', 'campaigns');
SELECT * FROM vm_switch('T', 'P');
INSERT INTO vm_project (tenant, project) VALUES ('T', 'P');
SELECT * FROM vm_switch('T', 'P', 'shops');
SELECT * FROM vm_switch('T', 'P');
INSERT INTO vm_project_entity (tenant, project, entity, child) VALUES ('T', 'P', 'vouchers', '"Prod".staged_v'), ('T', 'P', 'Camp "x"', '"Prod"."Staged ""c"""');
SELECT * FROM vm_switch('T', 'P');
UPDATE vm_project_entity SET prepare_at = now();

-- Arguments.
SELECT * FROM vm_switch(NULL, 'P');
SELECT * FROM vm_switch('T', 'P', override_reason => E' \n');
SELECT * FROM vm_switch('T', 'P', quiet_seconds => -1);
SELECT * FROM vm_switch('T', 'P', quiet_seconds => 'NaN');
SELECT * FROM vm_switch('T', 'P', quiet_seconds => NULL);
SELECT * FROM vm_switch('T', 'P', max_wait => '-1 s');
SELECT * FROM vm_switch('T', 'P', max_wait => '2 s');
SELECT * FROM vm_switch('T', 'P', max_wait => '1000 years');
SELECT * FROM vm_switch('T', 'P', lock_timeout_ms => 0);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT * FROM vm_switch('T', 'P');
ROLLBACK;
BEGIN READ ONLY;
SELECT * FROM vm_switch('T', 'P');
ROLLBACK;

--
-- What stands in the way is said, all of it, and nothing is changed
--
SELECT * FROM vm_switch('T', 'P', quiet_seconds => 0);
INSERT INTO "Prod".staged_v (_id, _doc) SELECT 'v' || n, voucher(n) FROM generate_series(1, 5) n;
INSERT INTO "Prod".staged_v (_id, _doc) VALUES ('gone', voucher(9, '{"deleted": true}'));
SELECT * FROM vm_switch('T', 'P', quiet_seconds => 0);
UPDATE vm_project_entity SET source_check_at = now();
SELECT * FROM vm_switch('T', 'P', 'vouchers', quiet_seconds => 0);
-- A closed row without its document does not move, and is not asked for.
UPDATE "Prod".staged_v SET _doc = NULL WHERE _id = 'gone';
SELECT deleted FROM "Prod".staged_v WHERE _id = 'gone' AND _doc IS NULL;
SELECT * FROM vm_switch('T', 'P', 'vouchers', quiet_seconds => 0);
DELETE FROM "Prod".staged_v WHERE _id = 'gone';
INSERT INTO "Prod".staged_v (_id, _doc) VALUES ('bad', voucher(6, '{"id": null}')), ('bad too', voucher(7, '{"type": null}')), ('odd', voucher(8, '{"discount": null}'));
INSERT INTO vm_anomaly (child, mapping, _id, kind, incoming) VALUES ('"Prod".staged_v', 'voucher', 'v1', 'late_document', '{}');
INSERT INTO vm_quarantine (child, mapping, _id, _doc, operation, sqlstate, message) VALUES ('"Prod".staged_v', 'voucher', 'v7', '{', 'INSERT', '22P02', 'm');
SELECT * FROM vm_switch('T', 'P', 'vouchers', quiet_seconds => 0);
-- A check that cannot be asked counts as one that found something; a condition of closed rows that fails says whose it is.
SELECT vm_define_check('ratio', 'voucher', '1 / (length(code) - 2) > 5', 'error');
SELECT * FROM vm_switch('T', 'P', 'vouchers', quiet_seconds => 0);
SELECT vm_drop_check('ratio');
UPDATE vm_parent SET closed = 'no_such_column' WHERE entity = 'vouchers';
SELECT * FROM vm_switch('T', 'P', 'vouchers', quiet_seconds => 0);
UPDATE vm_parent SET closed = 'deleted' WHERE entity = 'vouchers';
SELECT count(*) AS flags, (SELECT count(*) FROM vm_history) AS history, (SELECT count(switch_at) FROM vm_project_entity) AS switched FROM vm_flag;

--
-- It is overridden with a reason, which is recorded with what was found
--
SELECT entity, child, rows_staged, warnings, waited BETWEEN '0' AND '1 minute' AS waited, switched_at <= clock_timestamp() AS switched_at
FROM vm_switch('T', 'P', 'vouchers', 'the shop''s owner knows', quiet_seconds => 0);
SELECT step, entity, passed, regexp_replace(found, 'waited [0-9.]+ s', 'waited … s') AS found, override_reason, done_by = current_user AS by_caller FROM vm_history;
SELECT entity, switched, changed_by = current_user AS by_caller FROM vm_flag;
SELECT vm_is_switched('T', 'P', 'vouchers') AS vouchers, vm_is_switched('T', 'P', 'Camp "x"') AS campaigns;
SELECT entity FROM vm_switch('T', 'P', 'vouchers', quiet_seconds => 0);
DELETE FROM vm_anomaly;
DELETE FROM vm_quarantine;

--
-- The rest of the project, in order; a reason that is not needed is not recorded
--
SELECT entity FROM vm_switch('T', 'P', quiet_seconds => 0);
UPDATE vm_project_entity SET feed_start_at = now(), move_at = now() WHERE entity <> 'vouchers';
BEGIN;
SELECT entity, child, rows_staged, warnings FROM vm_switch('T', 'P', override_reason => 'not needed', quiet_seconds => 0);
SELECT mode FROM pg_locks WHERE relation = '"Prod"."Staged ""c"""'::regclass AND pid = pg_backend_pid() AND mode LIKE 'Share%' ORDER BY 1;
ROLLBACK;
SELECT vm_is_switched('T', 'P', 'Camp "x"');
INSERT INTO "Prod"."Staged ""c""" (_id, _doc) VALUES ('c1', campaign(1));
SELECT entity, child, rows_staged, warnings, waited > '0.1 s' AS waited FROM vm_switch('T', 'P', override_reason => 'not needed', quiet_seconds => 0.1, last_document => 'c1');
SELECT entity, regexp_replace(found, 'waited [0-9.]+ s', 'waited … s') AS found, override_reason FROM vm_history ORDER BY history_id DESC LIMIT 1;
SELECT entity, switch_at IS NOT NULL AS switched FROM vm_project_entity ORDER BY 1;
SELECT * FROM vm_switch('T', 'P');

--
-- Back, for a reason only
--
SELECT * FROM vm_switch_back('T', 'P');
SELECT * FROM vm_switch_back('T', 'P', reason => '');
SELECT * FROM vm_switch_back('T', 'P', 'shops', 'why');
SELECT * FROM vm_switch_back('T', 'Q', reason => 'why');
-- What was written since the switch: by an application to a staged row, to a new one, to one of another project; and the feed's.
UPDATE "Prod".vouchers SET code = 'new', updated_at = clock_timestamp() WHERE id = 'v_1';
INSERT INTO "Prod".vouchers (tenant_id, project_id, id, updated_at) VALUES ('T', 'P', 'v_new', clock_timestamp()), ('T', 'Q', 'v_1', clock_timestamp());
\set VERBOSITY terse
SET client_min_messages = error;
BEGIN;
SELECT entity, written_since, switched_at < switched_back_at AS after FROM vm_switch_back('T', 'P', reason => 'prices are wrong');
SELECT vm_is_switched('T', 'P', 'vouchers') AS vouchers, vm_is_switched('T', 'P', 'Camp "x"') AS campaigns;
ROLLBACK;
SELECT vm_is_switched('T', 'P', 'vouchers') AS vouchers, vm_is_switched('T', 'P', 'Camp "x"') AS campaigns;
RESET client_min_messages;
\set VERBOSITY default
-- The times in the messages are set to what can be expected.
UPDATE vm_flag SET changed_at = '2024-05-06 07:08:09.5+00';
BEGIN;
SELECT entity, written_since, switched_at FROM vm_switch_back('T', 'P', reason => 'prices are wrong');
ROLLBACK;
UPDATE vm_project_entity SET feed_stop_at = now();
SELECT entity, written_since FROM vm_switch_back('T', 'P', 'vouchers', 'prices are wrong', count_written => false);
SELECT step, entity, passed, found, override_reason FROM vm_history ORDER BY history_id DESC LIMIT 2;
SELECT entity, switched FROM vm_flag ORDER BY 1;
SELECT entity, switch_at IS NOT NULL AS switched FROM vm_project_entity ORDER BY 1;
SELECT entity FROM vm_switch_back('T', 'P', 'vouchers', 'again');
-- And once more over to PostgreSQL, with a feed that has begun anew.
SELECT vm_record_step('T', 'P', 'feed_start', 'loaded once more', 'vouchers');
DELETE FROM "Prod".staged_v WHERE _id LIKE 'bad%';
SELECT entity, rows_staged, warnings FROM vm_switch('T', 'P', quiet_seconds => 0);
SELECT vm_is_switched('T', 'P', 'vouchers');

--
-- A parent whose mapping does not say which rows are the project's
--
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('plain', 'public.plain', 'plain', 3, 'plain');
INSERT INTO vm_project_entity (tenant, project, entity, child, prepare_at, source_check_at, feed_start_at) VALUES ('T', 'P', 'plain', 'public.staged_plain', now(), now(), now());
SELECT entity, rows_staged, warnings FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
UPDATE vm_flag SET changed_at = '2024-05-06 07:08:09.5+00' WHERE entity = 'plain';
SELECT entity, written_since FROM vm_switch_back('T', 'P', 'plain', 'it was a trial');

--
-- The feed's documents: one that does not come, one that was refused, one that moved
--
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0, last_document => 'nowhere', max_wait => '0.1 s');
INSERT INTO staged_plain (_id) VALUES ('half');
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0, last_document => 'half', max_wait => '0.1 s');
INSERT INTO vm_quarantine (child, mapping, _id, _doc, operation, sqlstate, message) VALUES ('staged_plain', 'plain', 'refused', '{', 'INSERT', '22P02', 'm');
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0, last_document => 'refused', max_wait => '0.1 s');
DELETE FROM vm_quarantine;
-- What this transaction itself has written is not the feed's.
UPDATE staged_plain SET _doc = '{"id": "half"}';
BEGIN;
INSERT INTO staged_plain (_id, _doc) VALUES ('own', '{"id": "own"}');
SELECT entity, rows_staged FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0.05, max_wait => '1 s');
ROLLBACK;
-- A child that was dropped.
BEGIN;
SET LOCAL client_min_messages = warning;
DROP TABLE staged_plain;
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
ROLLBACK;
SELECT vm_is_switched('T', 'P', 'plain');

--
-- Who may: applications ask, with no right on any table; who switches needs rights on the child, none on the extension's tables
--
CREATE ROLE regress_vm_app;
CREATE ROLE regress_vm_lead;
GRANT USAGE ON SCHEMA vm TO regress_vm_app, regress_vm_lead;
SET ROLE regress_vm_app;
SELECT vm_is_switched('T', 'P', 'vouchers'), vm_is_switched('T', 'P', 'plain') AS plain;
SELECT * FROM vm_flag;
SELECT * FROM vm_switch('T', 'P', 'plain');
SELECT * FROM vm_switch_back('T', 'P', 'vouchers', 'why not');
RESET ROLE;
GRANT EXECUTE ON FUNCTION vm_switch, vm_switch_back TO regress_vm_lead;
SET ROLE regress_vm_lead;
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
RESET ROLE;
GRANT SELECT ON plain, staged_plain TO regress_vm_lead;
SET ROLE regress_vm_lead;
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
RESET ROLE;
GRANT UPDATE ON staged_plain TO regress_vm_lead;
ALTER TABLE staged_plain ENABLE ROW LEVEL SECURITY;
SET ROLE regress_vm_lead;
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
RESET ROLE;
ALTER TABLE staged_plain DISABLE ROW LEVEL SECURITY;
SET ROLE regress_vm_lead;
SELECT entity, rows_staged FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
SELECT vm_is_switched('T', 'P', 'plain');
RESET ROLE;
SELECT entity, changed_by FROM vm_flag WHERE entity = 'plain';
SELECT done_by, step, entity FROM vm_history ORDER BY history_id DESC LIMIT 1;
-- Switching back does not fail because something cannot be counted.
UPDATE vm_flag SET changed_at = '2024-05-06 07:08:09.5+00' WHERE entity = 'vouchers';
SET ROLE regress_vm_lead;
SELECT entity, written_since FROM vm_switch_back('T', 'P', 'vouchers', 'in a hurry');
RESET ROLE;
-- The condition of closed rows, whoever has stored it, writes nothing and does not find what the search_path of the caller has.
CREATE FUNCTION public.nosy(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN UPDATE public.plain SET note = 'seen'; RETURN false; END $$;
UPDATE vm_parent SET closed = 'nosy(id)' WHERE entity = 'plain';
UPDATE vm_flag SET switched = false WHERE entity = 'plain';
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
UPDATE vm_parent SET closed = 'public.nosy(id)' WHERE entity = 'plain';
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);
UPDATE vm_parent SET closed = 'true) OR (true' WHERE entity = 'plain';
SELECT entity FROM vm_switch('T', 'P', 'plain', quiet_seconds => 0);

SET client_min_messages = warning;
DELETE FROM vm_project_entity;
DELETE FROM vm_project;
DELETE FROM vm_parent;
DELETE FROM vm_flag;
DELETE FROM vm_history;
DROP FUNCTION public.voucher(integer, jsonb), public.campaign(integer, jsonb), public.nosy(text);
DROP SCHEMA "Prod" CASCADE;
DROP TABLE plain CASCADE;
SELECT vm_drop_mapping('plain');
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA vm FROM regress_vm_app, regress_vm_lead;
REVOKE ALL ON SCHEMA vm FROM regress_vm_app, regress_vm_lead;
DROP ROLE regress_vm_app, regress_vm_lead;
