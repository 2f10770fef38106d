SET search_path = vm, public;
\pset null '<NULL>'
\pset format unaligned
\pset tuples_only on
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_task;
RESET client_min_messages;

CREATE SCHEMA "Feed task";
CREATE SCHEMA elsewhere;
CREATE TABLE "Feed task".vouchers (id text PRIMARY KEY, updated_at timestamptz);
CREATE TABLE "Feed task".campaigns (id text PRIMARY KEY, updated_at timestamptz);
CREATE TABLE elsewhere.customers (id text PRIMARY KEY);
SELECT vm_define_mapping('fed', '{}');

-- Nothing registered, nothing prepared.
SELECT vm_feed_task(NULL, NULL);
SELECT vm_feed_task('acme', 'p_1');
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_database, source_collection) VALUES
    ('vouchers', '"Feed task".vouchers', 'fed', 1, 'shop_eu', 'vouchers-{tenant}@{project}'),
    ('campaigns', '"Feed task".campaigns', 'fed', 2, 'shop_eu', 'campaigns-{tenant}@{project}');
SELECT vm_feed_task(NULL, NULL);
SELECT vm_feed_task('acme', 'p_1');
INSERT INTO vm_project (tenant, project) VALUES ('acme', 'p_1'), ('acme', 'p_2'), ('{project}', E'100%[x]\'; $(rm -rf)`\n" ,é😀');
SELECT vm_feed_task(NULL, NULL);
SELECT vm_feed_task('acme', NULL);
SELECT vm_feed_task('nobody', NULL);
SELECT vm_feed_task('acme', 'p_1');
SELECT vm_feed_task('acme', 'p_3');
SELECT vm_feed_task(NULL, 'p_1');
SELECT vm_feed_task('acme', 'p_1', 'xml');
SELECT vm_feed_task('acme', 'p_1', NULL);

CREATE FUNCTION prepare(tenant text, project text) RETURNS void LANGUAGE sql AS $$
    INSERT INTO vm.vm_project_entity (tenant, project, entity, child)
    SELECT $1, $2, p.entity, vm.vm_create_child(p.parent, p.mapping, $1, $2) FROM vm.vm_parent p
    WHERE NOT EXISTS (SELECT FROM vm.vm_project_entity e WHERE (e.tenant, e.project, e.entity) = ($1, $2, p.entity))
$$;
SELECT prepare('acme', 'p_1');
SELECT vm_feed_task('acme', 'p_2');

--
-- AWS DMS
--
SELECT vm_feed_task('acme', 'p_1');
SELECT vm_feed_task('acme', NULL) = vm_feed_task('acme', 'p_1') AS same, vm_feed_task(NULL, NULL) = vm_feed_task('acme', 'p_1', 'dms') AS same_too;
SELECT vm_feed_task('acme', 'p_1', entity => 'campaigns');
SELECT vm_feed_task('acme', 'p_1', entity => 'nothing');
SELECT vm_feed_task(NULL, NULL, entity => 'nothing');
SELECT vm_feed_task('acme', 'p_1', 'dms-settings')::jsonb IS NOT NULL AS settings, vm_feed_task(NULL, NULL, 'dms-source'), vm_feed_task(NULL, NULL, 'dms-target');
SELECT s.key, s.value FROM jsonb_each(vm_feed_task(NULL, NULL, 'dms-settings')::jsonb) g, jsonb_each(g.value) s ORDER BY g.key COLLATE "C", s.key COLLATE "C";
SELECT prepare('acme', 'p_2');
CREATE VIEW rules AS SELECT r.*, rule FROM json_array_elements(vm_feed_task('acme', NULL)::json -> 'rules') rule,
    json_to_record(rule) r ("rule-id" text, "rule-name" text, "rule-type" text, "rule-action" text, "rule-target" text, "object-locator" jsonb, value text);
SELECT count(*), count(DISTINCT "rule-id") AS ids, count(DISTINCT "rule-name") AS names, max("rule-id"::integer) FROM rules;
SELECT "rule-type", "rule-target", "object-locator", value FROM rules ORDER BY "rule-id"::integer;
-- A child that goes by the name of its collection, in a schema that goes by the name of its database.
UPDATE vm_parent SET source_database = 'Feed task', source_collection = entity || '_{tenant}_{project}';
SELECT vm_feed_task('acme', 'p_1');
-- Two databases for one schema, and one for two.
UPDATE vm_parent SET source_database = 'other' WHERE entity = 'campaigns';
SELECT "rule-id", "object-locator", value FROM rules WHERE "rule-target" = 'schema' ORDER BY "rule-id"::integer;
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_database, source_collection)
VALUES ('customers', 'elsewhere.customers', 'fed', 3, 'other', 'customers');
SELECT vm_feed_task('acme', 'p_1');
SELECT prepare('acme', 'p_1');
SELECT vm_feed_task('acme', 'p_1');
SELECT vm_feed_task('acme', 'p_1', entity => 'customers');
-- One collection cannot be for two projects, whatever the feed.
SELECT prepare('acme', 'p_2');
SELECT vm_feed_task('acme', NULL, entity => 'customers');
SELECT vm_feed_task('acme', NULL, 'mongoexport', 'customers');
UPDATE vm_parent SET source_database = NULL WHERE entity = 'customers';
SELECT vm_feed_task('acme', 'p_1', 'mongoexport');
-- What DMS does not take.
UPDATE vm_parent SET source_database = 'a$b' WHERE entity = 'customers';
SELECT vm_feed_task('acme', 'p_1', entity => 'customers');
UPDATE vm_parent SET source_database = 'other', source_collection = repeat('c', 1000000) || '{project}' WHERE entity = 'customers';
SELECT vm_feed_task('acme', 'p_1', entity => 'customers');
-- Finished, and dropped by hand.
UPDATE vm_project_entity SET child = NULL, finish_at = now() WHERE entity = 'customers' RETURNING project;
SELECT vm_feed_task('acme', 'p_1', entity => 'customers');
UPDATE vm_parent SET source_database = 'shop', source_collection = entity || '-{tenant}@{project}';
SELECT json_array_length(vm_feed_task('acme', 'p_1')::json -> 'rules');
SET client_min_messages = warning;
DROP TABLE "Feed task"."vouchers_acme_p_2";
RESET client_min_messages;
SELECT vm_feed_task('acme', 'p_2');
DELETE FROM vm_project_entity WHERE project = 'p_2' OR entity = 'customers';
DELETE FROM vm_parent WHERE entity = 'customers';

--
-- Debezium and mongoexport
--
SELECT vm_feed_task('acme', 'p_1', 'debezium', 'vouchers');
SELECT vm_feed_task('acme', 'p_1', 'mongoexport');

--
-- Names as nobody should give them
--
SELECT prepare(tenant, project) FROM vm_project WHERE tenant = '{project}';
SELECT vm_feed_task('{project}', NULL);
SELECT count(*) FROM json_array_elements(vm_feed_task('acme', NULL)::json -> 'rules');
UPDATE vm_project SET project = replace(project, '$', '') WHERE tenant = '{project}';
SELECT rule ->> 'value' AS value, rule -> 'object-locator' AS locator FROM json_array_elements(vm_feed_task('{project}', NULL)::json -> 'rules') rule WHERE rule ->> 'rule-type' = 'transformation';
SELECT line FROM regexp_split_to_table(vm_feed_task('{project}', NULL, 'debezium', 'vouchers'), '\n') line WHERE line ~ '^(#|name|topic|collection)';
SELECT substr(vm_feed_task('{project}', NULL, 'mongoexport', 'vouchers'), strpos(vm_feed_task('{project}', NULL, 'mongoexport', 'vouchers'), E'\n# tenant'));
-- Topics that would be the same, and a table that a sink would read as another.
INSERT INTO vm_project (tenant, project) VALUES ('same', 'a b'), ('same', 'a@b'), ('same', 'p${topic}'), ('same', 'p\q');
SELECT prepare('same', 'a b'), prepare('same', 'a@b');
SELECT vm_feed_task('same', NULL, 'debezium', 'vouchers');
SELECT line FROM regexp_split_to_table(vm_feed_task('same', 'a b', 'debezium', 'vouchers') || E'\n' || vm_feed_task('same', 'a@b', 'debezium', 'vouchers'), '\n') line WHERE line ~ '^topics=';
SELECT prepare('same', 'p${topic}');
SELECT vm_feed_task('same', 'p${topic}', 'debezium', 'vouchers');
SELECT prepare('same', 'p\q');
SELECT vm_feed_task('same', 'p\q', 'debezium', 'vouchers');
SELECT vm_feed_task('same', 'p\q', 'dms', 'vouchers');

--
-- Who may ask
--
CREATE ROLE regress_vm_task;
GRANT USAGE ON SCHEMA vm TO regress_vm_task;
SET ROLE regress_vm_task;
SELECT vm_feed_task('acme', 'p_1');
RESET ROLE;
GRANT EXECUTE ON FUNCTION vm_feed_task(text, text, text, text) TO regress_vm_task;
SET ROLE regress_vm_task;
SELECT json_array_length(vm_feed_task('acme', 'p_1')::json -> 'rules');
RESET ROLE;

DROP VIEW rules;
DROP FUNCTION prepare(text, text);
DELETE FROM vm_project_entity;
DELETE FROM vm_project;
DELETE FROM vm_parent;
DELETE FROM vm_mapping WHERE NOT shipped;
SET client_min_messages = warning;
DROP SCHEMA "Feed task", elsewhere CASCADE;
DROP OWNED BY regress_vm_task;
DROP ROLE regress_vm_task;
