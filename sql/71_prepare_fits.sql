-- Children that are no longer what a feed needs: seen before it begins, before the switch, and by vm_preflight.
SET search_path = vm, public;
SET timezone = 'UTC';
\pset null '<NULL>'
\set SHOW_CONTEXT never

CREATE SCHEMA "Fit";
CREATE TABLE "Fit".split (tenant_id text, project_id text, id text, deleted boolean, size integer, updated_at timestamptz, PRIMARY KEY (tenant_id, project_id, id)) PARTITION BY HASH (id);
CREATE TABLE "Fit".split_1 PARTITION OF "Fit".split FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT vm_define_mapping('fit', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}}, "watermark": "updated_at", "on_error": "quarantine"}');
SELECT vm_register_parent('"Fit".split', 'fit', 'split');
SELECT vm_add_projects('SELECT ''T''::text, ''P'' || i FROM generate_series(1, 4) i');
CREATE FUNCTION children() RETURNS TABLE (severity text, problem text, statement text) LANGUAGE sql AS $$
    SELECT severity, problem, statement FROM vm_preflight('"Fit".split') WHERE topic = 'child'
$$;

--
-- A partitioned parent gets columns after its children were made
--
SELECT * FROM vm_prepare('T', 'P1');
SELECT vm_create_child('"Fit".split', 'fit', 'T', 'P2');
INSERT INTO "Fit"."split_T_P1" (_id, _doc) VALUES ('1', '{"id": "1", "note": "kept", "updated_at": 1000}'), ('2', '{"id": "2", "Amount": 3}'), ('half', NULL);
SELECT * FROM children();
ALTER TABLE "Fit".split ADD COLUMN note text COLLATE "C", ADD COLUMN "Amount" numeric(12,2) NOT NULL DEFAULT 7, ADD COLUMN twice numeric GENERATED ALWAYS AS ("Amount" * 2) STORED,
    ALTER COLUMN size TYPE bigint;
SELECT * FROM children();
-- One that was there is not taken; one that has begun is not switched, and its rows do not move.
SELECT * FROM vm_prepare('T', 'P2');
SELECT vm_record_step('T', 'P1', 'source_check', 'clean');
SELECT * FROM vm_switch('T', 'P1', quiet_seconds => 0);
SELECT * FROM vm_switch('T', 'P1', quiet_seconds => 0, override_reason => 'no reason is good enough');
CALL vm_move('"Fit"."split_T_P1"');
SELECT vm_is_switched('T', 'P1', 'split');
-- The statements mend it, rows that are there included.
SELECT statement FROM children() \gexec
SELECT * FROM children();
SELECT _id, id, size, updated_at, note, "Amount" FROM "Fit"."split_T_P1" ORDER BY _id;
SELECT * FROM vm_prepare('T', 'P2');
DELETE FROM "Fit"."split_T_P1" WHERE _id = 'half';
SELECT entity, child, rows_staged FROM vm_switch('T', 'P1', quiet_seconds => 0);
CALL vm_move('"Fit"."split_T_P1"', quiet => true);
SELECT id, note, "Amount", twice FROM "Fit".split ORDER BY id;

-- The same of a pool's child, which is not given away.
SELECT vm_create_pool('split', 1);
ALTER TABLE "Fit".split ADD COLUMN late integer;
SELECT * FROM vm_prepare('T', 'P3');
CALL vm_move('"Fit"."split_T_P1"');
SELECT vm_drop_pool('split');
SELECT vm_create_pool('split', 1);
SELECT * FROM vm_prepare('T', 'P3');

--
-- A child of somebody's own, with a trigger that is silent for a feed which sets session_replication_role
--
CREATE TABLE "Fit"."split_T_P4" (LIKE "Fit".split, _id text PRIMARY KEY, _doc text);
INSERT INTO vm_child VALUES ('"Fit"."split_T_P4"', '"Fit".split');
CREATE TRIGGER "of mine" BEFORE INSERT OR UPDATE ON "Fit"."split_T_P4" FOR EACH ROW EXECUTE FUNCTION vm_transform('fit', 'T', 'P4');
SELECT vm_drop_pool('split');
SELECT * FROM vm_prepare('T', 'P4');
ALTER TABLE "Fit"."split_T_P4" ENABLE REPLICA TRIGGER "of mine";
SELECT * FROM vm_prepare('T', 'P4');
ALTER TABLE "Fit"."split_T_P4" DISABLE TRIGGER "of mine";
SELECT * FROM vm_prepare('T', 'P4');
SELECT * FROM children();
ALTER TABLE "Fit"."split_T_P4" ENABLE TRIGGER "of mine";
SELECT severity, problem FROM children();
SELECT statement FROM children() WHERE statement LIKE '%TRIGGER%' \gexec
SELECT * FROM vm_prepare('T', 'P4');
-- Triggers that are not ours may be as they are.
CREATE FUNCTION "Fit".mine() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
DELETE FROM vm_project_entity WHERE project = 'P4';
CREATE TRIGGER also AFTER INSERT ON "Fit"."split_T_P4" FOR EACH ROW EXECUTE FUNCTION "Fit".mine();
SELECT * FROM vm_prepare('T', 'P4');

SET client_min_messages = warning;
DROP SCHEMA "Fit" CASCADE;
DROP FUNCTION children();
DELETE FROM vm_flag;
DELETE FROM vm_pool;
DELETE FROM vm_child;
DELETE FROM vm_project_entity;
DELETE FROM vm_project;
DELETE FROM vm_history;
DELETE FROM vm_parent;
DELETE FROM vm_feed_seen;
DELETE FROM vm_quarantine;
DELETE FROM vm_anomaly;
DELETE FROM vm_move_batches;
DELETE FROM vm_move_place;
DELETE FROM vm_mapping WHERE NOT shipped;
