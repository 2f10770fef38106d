SET search_path = vm, public;
\pset null '<NULL>'
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_preflight;
RESET client_min_messages;
\set VERBOSITY terse

CREATE SCHEMA "Pre.flight";
CREATE VIEW findings AS SELECT NULL::text AS severity, NULL::text AS topic, NULL::text AS problem, NULL::text AS statement LIMIT 0;
-- What has to do with the table; how the server is set up comes further down.
CREATE FUNCTION findings(parent regclass) RETURNS SETOF findings LANGUAGE sql AS $$
    SELECT * FROM vm_preflight(parent) WHERE topic NOT IN ('setting', 'vacuum', 'disk', 'locks', 'registry', 'session', 'server')
$$;

--
-- A parent as it should be
--
CREATE TABLE "Pre.flight".campaigns (tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, name text NOT NULL,
    campaign_type text NOT NULL, deleted boolean NOT NULL, created_at timestamptz NOT NULL, updated_at timestamptz, deleted_at timestamptz, PRIMARY KEY (tenant_id, project_id, id));
CREATE UNIQUE INDEX ON "Pre.flight".campaigns (tenant_id, project_id, name);
SELECT * FROM vm_preflight('"Pre.flight".campaigns') WHERE topic NOT IN ('setting', 'vacuum', 'disk');
INSERT INTO vm_parent (entity, parent, mapping, move_order, closed, source_database, source_collection)
VALUES ('campaigns', '"Pre.flight".campaigns', 'campaign', 2, 'updated_at < ''2020-01-01''', 'shop', 'campaigns-{tenant}-{project}');
SELECT * FROM vm_preflight('"Pre.flight".campaigns') WHERE topic NOT IN ('setting', 'vacuum', 'disk');
-- The statement is to be run.
SELECT statement FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'mapping' AND statement IS NOT NULL \gexec
SELECT * FROM findings('"Pre.flight".campaigns');
SELECT mapping, shipped, rules ->> 'on_error' AS on_error FROM vm_mapping WHERE mapping = 'campaign' ORDER BY shipped;
SELECT vm_drop_mapping('campaign');

--
-- What cannot be a parent: nothing else is looked at
--
CREATE VIEW "Pre.flight".v AS SELECT 1 AS id;
CREATE TEMP TABLE passing (id text PRIMARY KEY);
CREATE TABLE "Pre.flight".partitioned (id text PRIMARY KEY) PARTITION BY LIST (id);
CREATE TABLE "Pre.flight".partition PARTITION OF "Pre.flight".partitioned DEFAULT;
CREATE TABLE "Pre.flight".staged (_id text PRIMARY KEY, _doc text) INHERITS ("Pre.flight".campaigns);
SELECT * FROM vm_preflight('"Pre.flight".v');
SELECT * FROM vm_preflight('"Pre.flight".partition');
SELECT severity, topic, regexp_replace(problem, '_temp_\d+', '_temp') AS problem FROM vm_preflight('passing');
SELECT * FROM vm_preflight('pg_class');
SELECT * FROM vm_preflight('"Pre.flight".staged');
SELECT * FROM vm_preflight('"Pre.flight".campaigns_pkey');
SELECT * FROM vm_preflight(NULL);
SELECT * FROM findings('"Pre.flight".partitioned');
DROP TABLE "Pre.flight".staged, "Pre.flight".partitioned;
DROP VIEW "Pre.flight".v;

--
-- No key: one statement at a time, and each is as good as it is printed
--
CREATE TABLE "Pre.flight"."No key" (tenant_id text NOT NULL, project_id text NOT NULL, id text, "Code" text);
SELECT * FROM findings('"Pre.flight"."No key"');
CREATE UNIQUE INDEX one_id ON "Pre.flight"."No key" (id);
SELECT * FROM findings('"Pre.flight"."No key"');
SELECT statement FROM vm_preflight('"Pre.flight"."No key"') WHERE topic = 'key' \gexec
SELECT * FROM findings('"Pre.flight"."No key"');
DROP INDEX "Pre.flight".one_id;
SELECT * FROM findings('"Pre.flight"."No key"');
SELECT statement FROM vm_preflight('"Pre.flight"."No key"') WHERE topic = 'key' \gexec
SELECT * FROM findings('"Pre.flight"."No key"');
-- An index that could not be built.
INSERT INTO "Pre.flight"."No key" VALUES ('t', 'p', '1', 'a'), ('t', 'p', '2', 'a');
CREATE UNIQUE INDEX CONCURRENTLY "in'valid" ON "Pre.flight"."No key" ("Code");
SELECT * FROM findings('"Pre.flight"."No key"') WHERE topic = 'index' AND severity <> 'info';
DELETE FROM "Pre.flight"."No key";
SELECT statement FROM vm_preflight('"Pre.flight"."No key"') WHERE topic = 'index' AND severity <> 'info' \gexec
SELECT * FROM findings('"Pre.flight"."No key"') WHERE topic = 'index' AND severity <> 'info';
CREATE TABLE "Pre.flight".deferred (id text PRIMARY KEY DEFERRABLE, n integer GENERATED ALWAYS AS (1) STORED);
SELECT * FROM findings('"Pre.flight".deferred');
SELECT statement FROM vm_preflight('"Pre.flight".deferred') WHERE topic = 'key' \gexec
SELECT * FROM findings('"Pre.flight".deferred');
CREATE TABLE "Pre.flight".counted (n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text);
SELECT * FROM findings('"Pre.flight".counted');

--
-- What refers to the parent, hangs on it, or looks at it
--
CREATE FUNCTION "Pre.flight".trigger() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN new; END $$;
CREATE TABLE "Pre.flight".hub (tenant_id text, project_id text, id text PRIMARY KEY, above text REFERENCES "Pre.flight".hub, "Code" text);
CREATE TABLE "Pre.flight"."Spoke" (id text PRIMARY KEY, hub text REFERENCES "Pre.flight".hub);
CREATE UNIQUE INDEX ON "Pre.flight".hub (project_id, coalesce("Code", ''));
CREATE TRIGGER "before A" BEFORE INSERT ON "Pre.flight".hub FOR EACH ROW EXECUTE FUNCTION "Pre.flight".trigger();
CREATE TRIGGER after_all AFTER UPDATE ON "Pre.flight".hub EXECUTE FUNCTION "Pre.flight".trigger();
CREATE RULE quiet AS ON DELETE TO "Pre.flight".hub DO ALSO NOTHING;
ALTER TABLE "Pre.flight".hub ENABLE ROW LEVEL SECURITY;
CREATE TABLE "Pre.flight".old_part () INHERITS ("Pre.flight".hub);
SELECT * FROM findings('"Pre.flight".hub');
SELECT substring(problem FROM 'ALTER.*') FROM vm_preflight('"Pre.flight".hub') WHERE topic = 'foreign key' AND problem LIKE '%until ALTER%' \gexec
SELECT count(*) FROM findings('"Pre.flight".hub') WHERE topic = 'foreign key';
ALTER TABLE "Pre.flight".hub DISABLE TRIGGER ALL;
SELECT * FROM findings('"Pre.flight".hub') WHERE topic = 'trigger';
SELECT * FROM findings('"Pre.flight".old_part') WHERE topic = 'table';
SET client_min_messages = error;
CREATE PUBLICATION vm_everything FOR ALL TABLES;
CREATE PUBLICATION vm_one FOR TABLE ONLY "Pre.flight"."No key";
RESET client_min_messages;
SELECT * FROM findings('"Pre.flight"."No key"') WHERE topic = 'publication';
SELECT statement FROM vm_preflight('"Pre.flight"."No key"') WHERE topic = 'publication' AND severity = 'error' LIMIT 1 \gexec
SELECT severity, count(*) FROM findings('"Pre.flight"."No key"') WHERE topic = 'publication' GROUP BY severity ORDER BY severity;
DROP PUBLICATION vm_everything, vm_one;
CREATE UNLOGGED TABLE "Pre.flight".odd (_id integer PRIMARY KEY) WITH (toast_tuple_target = 512, autovacuum_enabled = off);
SELECT * FROM vm_preflight('"Pre.flight".odd') WHERE topic IN ('table', 'column', 'vacuum');
-- Each word of it is so: a child cannot be made, …
SELECT vm_define_mapping('nothing', '{}');
SELECT vm_create_child('"Pre.flight".odd', 'nothing', 'T', 'P');
-- … and rows of a child are not there for foreign keys, nor for triggers of the parent.
CREATE TABLE "Pre.flight".seen (id text PRIMARY KEY);
CREATE TABLE "Pre.flight".sees (id text REFERENCES "Pre.flight".seen);
CREATE FUNCTION "Pre.flight".tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE INFO 'fired for %', new.id; RETURN new; END $$;
CREATE TRIGGER tell BEFORE INSERT OR UPDATE ON "Pre.flight".seen FOR EACH ROW EXECUTE FUNCTION "Pre.flight".tell();
SELECT severity, topic FROM findings('"Pre.flight".seen');
SELECT vm_create_child('"Pre.flight".seen', 'nothing', 'T', 'P', 'staged');
INSERT INTO "Pre.flight".staged (_id, _doc) VALUES ('1', '{"id": "a"}');
UPDATE "Pre.flight".seen SET id = id;
INSERT INTO "Pre.flight".sees VALUES ('a');
DROP TABLE "Pre.flight".staged;

--
-- Mapping and registry
--
CREATE TABLE "Pre.flight".vouchers (tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, campaign_id text, stock integer NOT NULL,
    n bigint NOT NULL DEFAULT 0, FOREIGN KEY (tenant_id, project_id, campaign_id) REFERENCES "Pre.flight".campaigns, PRIMARY KEY (tenant_id, project_id, id));
SELECT * FROM vm_preflight('"Pre.flight".vouchers') WHERE topic = 'registry';
INSERT INTO vm_parent (entity, parent, mapping, move_order, closed, source_collection)
VALUES ('vouchers', '"Pre.flight".vouchers', 'pre', 1, 'nowhere.gone', 'vouchers-{tenant}');
INSERT INTO vm_project (tenant, project) VALUES ('acme', 'p1'), ('acme', 'p2');
SELECT * FROM findings('"Pre.flight".vouchers');
SELECT * FROM vm_preflight('"Pre.flight".vouchers') WHERE topic = 'registry';
ALTER TABLE "Pre.flight".vouchers ADD COLUMN gone integer;
SELECT vm_define_mapping('pre', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}, "gone": {"default": 1}}}');
ALTER TABLE "Pre.flight".vouchers DROP COLUMN gone;
SELECT * FROM findings('"Pre.flight".vouchers') WHERE topic = 'mapping';
SELECT vm_define_mapping('pre', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}, "stock": {"ignore": true}}, "on_error": "quarantine"}');
SELECT * FROM findings('"Pre.flight".vouchers') WHERE topic = 'mapping';
SELECT statement FROM vm_preflight('"Pre.flight".vouchers') WHERE statement LIKE 'UPDATE %' \gexec
SELECT entity, move_order, source_collection FROM vm_parent ORDER BY move_order;
UPDATE vm_parent SET closed = 'n > 5 AND id <> '''' -- all' WHERE entity = 'vouchers';
SELECT * FROM findings('"Pre.flight".vouchers');
UPDATE vm_parent SET closed = 'true) OR (true' WHERE entity = 'vouchers';
SELECT * FROM findings('"Pre.flight".vouchers') WHERE topic = 'closed';
UPDATE vm_parent SET closed = 'n' WHERE entity = 'vouchers';
SELECT * FROM findings('"Pre.flight".vouchers') WHERE topic = 'closed';

--
-- Server and session
--
SET statement_timeout = '5min';
SET default_transaction_isolation = 'serializable';
SET session_replication_role = replica;
SELECT * FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'session';
SET default_transaction_read_only = on;
SELECT count(*) FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'session';
SELECT statement FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'session' \gexec
SELECT count(*) FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'session';
SET default_toast_compression = pglz;
SELECT topic, statement IS NOT NULL AS mends FROM vm_preflight('"Pre.flight".hub') WHERE topic = 'setting' AND problem LIKE '%pglz%';
ALTER TABLE "Pre.flight".hub ADD doc jsonb;
SELECT count(*) FROM vm_preflight('"Pre.flight".hub') WHERE topic = 'setting' AND problem LIKE '%pglz%';
RESET default_toast_compression;
-- A slot that nobody reads from.
SELECT slot_name FROM pg_create_physical_replication_slot('vm_preflight', true);
SELECT * FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'disk';
SELECT pg_drop_replication_slot('vm_preflight');
SELECT count(*) FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'disk';
-- No statement ends what others may need, and those that want a reload say so.
SELECT count(*) FROM vm_preflight('"Pre.flight".campaigns') WHERE statement ~ 'pg_terminate|pg_drop|DROP';
SELECT problem ~ 'pg_reload_conf' AS reload, statement FROM vm_preflight('"Pre.flight".campaigns') WHERE statement LIKE 'ALTER SYSTEM%' AND topic <> 'locks';
-- Locks: by the number of projects.
SELECT severity FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'locks';
INSERT INTO vm_project (tenant, project) SELECT 'many', n::text FROM generate_series(1, 100000) n;
SELECT severity, regexp_replace(problem, '\d+', 'N', 'g') AS problem, regexp_replace(statement, '\d+', 'N') AS statement
FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'locks';
INSERT INTO vm_project_entity (tenant, project, entity, finish_at) SELECT tenant, project, 'campaigns', now() FROM vm_project WHERE tenant = 'many';
SELECT severity FROM vm_preflight('"Pre.flight".campaigns') WHERE topic = 'locks';

--
-- Rights: what a role needs, in statements that give it them
--
CREATE ROLE regress_vm_preflight;
GRANT USAGE ON SCHEMA vm, "Pre.flight" TO regress_vm_preflight;
SET ROLE regress_vm_preflight;
-- Nothing but the extension is in its schema, or something else is.
RESET ROLE;
ALTER FUNCTION findings(regclass) SET SCHEMA "Pre.flight";
SET ROLE regress_vm_preflight;
SELECT regexp_replace(problem, '\d+', 'N') AS problem, statement FROM vm.vm_preflight('"Pre.flight".vouchers') WHERE problem LIKE '%call%';
RESET ROLE;
ALTER FUNCTION "Pre.flight".findings(regclass) SET SCHEMA vm;
SET ROLE regress_vm_preflight;
CREATE TEMP TABLE wanted AS SELECT problem, statement FROM vm.vm_preflight('"Pre.flight".vouchers') WHERE topic = 'rights';
RESET ROLE;
SELECT left(problem, 43) AS problem, left(statement, 45) AS statement FROM wanted WHERE problem NOT LIKE '%call%' ORDER BY problem COLLATE "C";
SELECT count(*) > 3 AS several, max(length(problem)) < 250 AS problems, max(length(statement)) < 1100 AS statements FROM wanted WHERE problem LIKE '%call%';
SET client_min_messages = error;
-- All functions of the extension that he may not call are among them.
\set ECHO none
SELECT statement FROM wanted \gexec
\set ECHO all
RESET client_min_messages;
SET ROLE regress_vm_preflight;
SELECT count(*) FROM vm.vm_preflight('"Pre.flight".vouchers') WHERE topic = 'rights';
SELECT vm.vm_create_child('"Pre.flight".vouchers', 'pre', 'T', 'P');
RESET ROLE;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE regress_vm_preflight LOCATION '';
SET ROLE regress_vm_preflight;
SET default_tablespace = regress_vm_preflight;
SELECT * FROM vm.vm_preflight('"Pre.flight".vouchers') WHERE topic = 'rights';
SELECT statement FROM vm.vm_preflight('"Pre.flight".vouchers') WHERE topic = 'rights' \gset
RESET ROLE;
:statement
SET ROLE regress_vm_preflight;
SELECT count(*) FROM vm.vm_preflight('"Pre.flight".vouchers') WHERE topic = 'rights';
RESET default_tablespace;
RESET ROLE;
-- A read-only transaction, and one that has failed nothing.
BEGIN READ ONLY;
SELECT count(*) > 0 AS found FROM vm_preflight('"Pre.flight".vouchers');
COMMIT;

DELETE FROM vm_project_entity;
DELETE FROM vm_project;
DELETE FROM vm_parent;
DELETE FROM vm_mapping WHERE NOT shipped;
SET client_min_messages = warning;
DROP SCHEMA "Pre.flight" CASCADE;
DROP FUNCTION findings(regclass);
DROP VIEW findings;
DROP TABLESPACE regress_vm_preflight;
DROP OWNED BY regress_vm_preflight;
DROP ROLE regress_vm_preflight;
DROP TABLE passing;
