SET search_path = vm, public;
SET timezone = 'UTC';
SET client_min_messages = warning;
DROP ROLE IF EXISTS regress_vm_checker;
RESET client_min_messages;
\pset null '<NULL>'
\set SHOW_CONTEXT never

CREATE SCHEMA refs;
CREATE TABLE refs.campaigns (
    tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, name text, vouchers_count integer, updated_at timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE TABLE refs.vouchers (
    tenant_id text NOT NULL, project_id text NOT NULL, id text NOT NULL, campaign_id text, deleted boolean, updated_at timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
SELECT vm_define_mapping('plain', '{"columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}}, "watermark": "updated_at"}');
SELECT vm_create_child(('refs.' || p)::regclass, 'plain', 'T', project, 'staged_' || p || '_' || lower(project))
FROM unnest('{vouchers,campaigns}'::text[]) p, unnest('{P,Q}'::text[]) project;

CREATE FUNCTION found(child regclass) RETURNS TABLE (check_name text, severity text, rows bigint, sample_ids text[], hint text) LANGUAGE sql AS $$
    SELECT * FROM vm_check(child) WHERE check_name LIKE 'reference%' OR check_name LIKE 'count%'
$$;
CREATE FUNCTION voucher(id text, campaign text, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('id', id, 'campaign_id', campaign, 'updated_at', 1575648464123) || more)::text
$$;
CREATE FUNCTION campaign(id text, vouchers integer, more jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('id', id, 'vouchers_count', vouchers, 'updated_at', 1575648464123) || more)::text
$$;

--
-- Parents that are not registered have no references
--
SELECT * FROM found('refs.staged_vouchers_p');
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('voucher', 'refs.vouchers', 'plain', 1, 'vouchers');
SELECT * FROM found('refs.staged_vouchers_p');
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('campaign', 'refs.campaigns', 'plain', 2, 'campaigns');
SELECT * FROM found('refs.staged_vouchers_p');
SELECT * FROM found('refs.staged_campaigns_p');

--
-- The campaign is in the parent, in this project's child, in another's; or nowhere, or another tenant's, or waits for its document
--
INSERT INTO refs.campaigns VALUES ('T', 'P', 'moved', 'x', 2), ('T', 'Q', 'of Q', 'x', 0), ('U', 'P', 'of U', 'x', 0);
INSERT INTO refs.staged_campaigns_p (_id, _doc) VALUES ('c1', campaign('staged', 3)), ('c2', campaign('none', 0)), ('c3', campaign('uncounted', NULL));
INSERT INTO refs.staged_campaigns_p (_id) VALUES ('half');
INSERT INTO refs.staged_campaigns_q (_id, _doc) VALUES ('q1', campaign('astray', 1, '{"project_id": "P"}'));
INSERT INTO refs.vouchers VALUES ('T', 'P', 'old 1', 'staged', false), ('T', 'P', 'old 2', 'moved', NULL), ('T', 'P', 'old 3', 'moved', true),
    ('T', 'Q', 'old 4', 'staged', false), ('T', 'P', 'old 5', 'nowhere', false);
INSERT INTO refs.staged_vouchers_p (_id, _doc) VALUES ('v1', voucher('1', 'moved')), ('v2', voucher('2', 'staged')), ('v3', voucher('3', NULL)),
    ('v4', voucher('4', 'astray')), ('v5', voucher('5', 'of Q')), ('v6', voucher('6', 'of U')), ('v7', voucher('7', 'nowhere', '{"deleted": true}')),
    ('v8', voucher('8', '')), ('v9', voucher('9', 'half')), ('v0', voucher('0', 'staged', '{"deleted": false}')), ('va', voucher('a', 'staged', '{"deleted": true}'));
INSERT INTO refs.staged_vouchers_p (_id) VALUES ('half');
SELECT * FROM found('refs.staged_vouchers_p');
SELECT * FROM found('refs.staged_campaigns_p');
UPDATE refs.staged_campaigns_p SET vouchers_count = vouchers_count + 1;
SELECT * FROM found('refs.staged_campaigns_p');
-- A count of rows in another project's child.
SELECT * FROM found('refs.staged_campaigns_q');
-- A voucher that stands in child and parent is counted as readers of the parent see it.
INSERT INTO refs.vouchers VALUES ('T', 'P', '2', 'staged', false);
SELECT check_name, rows, sample_ids FROM found('refs.staged_campaigns_p');
DELETE FROM ONLY refs.vouchers WHERE id = '2';

--
-- Of a registered project its own children are asked first, and the rest only about what they have not
--
INSERT INTO vm_project VALUES ('T', 'P'), ('T', 'Q');
INSERT INTO vm_project_entity (tenant, project, entity, child) VALUES ('T', 'P', 'voucher', 'refs.staged_vouchers_p'), ('T', 'P', 'campaign', 'refs.staged_campaigns_p'),
    ('T', 'Q', 'campaign', 'refs.staged_campaigns_q');
SELECT check_name, rows, sample_ids FROM found('refs.staged_vouchers_p');
SELECT check_name, rows, sample_ids FROM found('refs.staged_campaigns_p');
UPDATE refs.staged_campaigns_p SET vouchers_count = vouchers_count - 1;
-- The other entity has no child yet, or no more.
SELECT check_name, rows, sample_ids FROM found('refs.staged_campaigns_q');
-- Where they have everything, nothing else is read.
BEGIN;
CREATE FUNCTION locked(relation regclass) RETURNS boolean LANGUAGE sql AS $$
    SELECT count(*) > 0 FROM pg_locks WHERE pg_locks.relation = $1 AND pid = pg_backend_pid() AND mode = 'AccessShareLock' $$;
DELETE FROM refs.staged_vouchers_p WHERE _id NOT IN ('v1', 'v2', 'v3', 'v0', 'va');
SELECT count(*) FILTER (WHERE rows = 0) AS clean FROM found('refs.staged_vouchers_p');
SELECT count(*) FILTER (WHERE rows = 0) AS clean FROM found('refs.staged_campaigns_p');
SELECT locked('refs.staged_campaigns_q') AS campaigns_read, locked('refs.staged_vouchers_q') AS vouchers_read;
ROLLBACK;

--
-- References of one's own; a shipped one replaced and switched off
--
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', count_column => 'vouchers_count', severity => 'info', count_severity => 'error');
SELECT check_name, severity, rows, sample_ids, hint FROM found('refs.staged_campaigns_p');
-- By another column, which needs an index that says which row it is: the one with the fewest columns.
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', 'name', severity => 'info');
SELECT check_name, severity, rows, sample_ids, hint FROM found('refs.staged_vouchers_p');
CREATE UNIQUE INDEX names ON refs.campaigns (name, tenant_id) WHERE name <> 'x';
SELECT check_name, severity, rows, sample_ids, hint FROM found('refs.staged_vouchers_p');
CREATE UNIQUE INDEX a_names ON refs.campaigns (name, id, tenant_id);
UPDATE refs.campaigns SET name = id;
CREATE UNIQUE INDEX b_names ON refs.campaigns (tenant_id, name);
SELECT check_name, severity, rows, sample_ids, hint FROM found('refs.staged_vouchers_p');
SELECT vm_define_reference('voucher', 'campaign_id', NULL);
SELECT count(*) FROM found('refs.staged_vouchers_p');
SELECT entity, column_name, shipped, refers_to, refers_to_column, count_column, counted, severity, count_severity, defined_by = current_user AS mine
FROM vm_reference ORDER BY shipped;
SELECT vm_drop_reference('voucher', 'campaign_id');
SELECT check_name, rows FROM found('refs.staged_vouchers_p');

-- Refused on the spot, as far as something is known.
SELECT vm_define_reference('voucher', 'campaign', 'campaign');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', 'key');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', count_column => 'vouchers');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', count_column => 'vouchers_count', counted => 'removed');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', count_column => 'vouchers_count', counted => 'deleted) OR (true');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', counted => 'deleted');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', severity => 'fatal');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', count_severity => 'fatal');
SELECT vm_define_reference('', 'campaign_id', 'campaign');
SELECT vm_define_reference('voucher', '', 'campaign');
SELECT vm_define_reference('voucher', 'campaign_id', '');
SELECT vm_define_reference(NULL, 'campaign_id', 'campaign');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', NULL);
SELECT vm_define_reference('order', 'x', 'shop', count_column => 'orders', counted => 'true; DROP TABLE refs.vouchers');
SELECT vm_drop_reference('voucher', 'campaign_id');
SELECT vm_drop_reference('voucher', 'code');
SELECT vm_drop_reference('voucher', NULL);
SELECT vm_define_check(c, NULL, 'true') FROM unnest('{reference_nowhere.x}'::text[]) c;
SELECT vm_define_check(c, NULL, 'true') FROM unnest('{count_differs.x}'::text[]) c;
SELECT count(*) FROM vm_reference WHERE NOT shipped;
-- What no definition lets in, and what breaks later: a row that says so; of what is shipped none.
INSERT INTO vm_reference (entity, column_name, refers_to, count_column, counted) VALUES
    ('voucher', 'id', 'campaign', 'vouchers_count', 'true) OR (SELECT count(*) > 0 FROM refs.vouchers'), ('voucher', 'deleted', 'campaign', NULL, NULL),
    ('voucher', 'gone', 'campaign', 'gone', NULL);
SELECT check_name, severity, rows, hint FROM found('refs.staged_vouchers_p') WHERE rows IS NULL;
SELECT check_name, severity, rows, hint FROM found('refs.staged_campaigns_p') WHERE rows IS NULL;
DELETE FROM vm_reference WHERE NOT shipped;
ALTER TABLE refs.vouchers RENAME COLUMN deleted TO removed;
SELECT check_name, severity, rows, sample_ids, hint FROM found('refs.staged_campaigns_p');
ALTER TABLE refs.vouchers RENAME COLUMN campaign_id TO "The ""Campaign""";
SELECT check_name FROM found('refs.staged_campaigns_p');
SELECT check_name FROM found('refs.staged_vouchers_p');
SELECT vm_define_reference('voucher', 'The "Campaign"', 'campaign', count_column => 'vouchers_count', counted => '"The ""Campaign""" <> ''moved'' -- all but these');
SELECT check_name, rows, hint FROM found('refs.staged_campaigns_p');
SELECT check_name, rows, hint FROM found('refs.staged_vouchers_p');
SELECT vm_drop_reference('voucher', 'The "Campaign"');
ALTER TABLE refs.vouchers RENAME COLUMN "The ""Campaign""" TO campaign_id;
ALTER TABLE refs.vouchers RENAME COLUMN removed TO deleted;

--
-- Rights are the caller's: on the child, and on the parent of the other entity
--
CREATE ROLE regress_vm_checker;
GRANT USAGE ON SCHEMA vm, refs TO regress_vm_checker;
GRANT SELECT ON refs.staged_vouchers_p, refs.vouchers TO regress_vm_checker;
GRANT EXECUTE ON FUNCTION found(regclass) TO regress_vm_checker;
SET ROLE regress_vm_checker;
SELECT check_name, severity, rows, hint FROM found('refs.staged_vouchers_p');
SELECT vm_define_reference('voucher', 'campaign_id', NULL);
SELECT vm_drop_reference('voucher', 'campaign_id');
SELECT count(*) FROM vm_reference;
RESET ROLE;
GRANT SELECT ON refs.campaigns TO regress_vm_checker;
SET ROLE regress_vm_checker;
SELECT check_name, severity, rows, sample_ids FROM found('refs.staged_vouchers_p');
RESET ROLE;
-- Policies are those of the table that is named: the parent, for its children too.
GRANT SELECT ON refs.staged_campaigns_p TO regress_vm_checker;
ALTER TABLE refs.campaigns ENABLE ROW LEVEL SECURITY;
CREATE POLICY a_part ON refs.campaigns USING (id NOT IN ('moved', 'staged'));
BEGIN;
DELETE FROM refs.staged_vouchers_p WHERE _id NOT IN ('v2', 'v3');
SELECT check_name, rows, sample_ids FROM found('refs.staged_vouchers_p');
SET ROLE regress_vm_checker;
SELECT check_name, rows, sample_ids FROM found('refs.staged_vouchers_p');
ROLLBACK;
ALTER TABLE refs.campaigns DISABLE ROW LEVEL SECURITY;
ALTER TABLE refs.staged_campaigns_p ENABLE ROW LEVEL SECURITY;
SET ROLE regress_vm_checker;
SELECT check_name, rows, sample_ids FROM found('refs.staged_vouchers_p');
RESET ROLE;
ALTER TABLE refs.staged_campaigns_p DISABLE ROW LEVEL SECURITY;
-- A stored condition runs as who checks, and writes nothing.
CREATE FUNCTION refs.as_owner() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN CREATE TABLE refs.written (); RETURN true; END $$;
CREATE FUNCTION refs.whoami() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE '%', current_user; END $$;
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', count_column => 'vouchers_count', counted => 'refs.as_owner()');
SELECT check_name, severity, rows, hint FROM found('refs.staged_campaigns_p');
SELECT vm_define_reference('voucher', 'campaign_id', 'campaign', count_column => 'vouchers_count', counted => 'refs.whoami()');
SET ROLE regress_vm_checker;
SELECT check_name, severity, rows, hint FROM found('refs.staged_campaigns_p');
RESET ROLE;
SELECT vm_drop_reference('voucher', 'campaign_id');
-- Nor does a search_path change what is found.
CREATE SCHEMA evil;
CREATE FUNCTION evil.op(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.op);
CREATE FUNCTION evil.count(text) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'evil'; END $$;
CREATE TABLE evil.vm_reference (entity text);
CREATE TABLE evil.vm_parent (entity text);
SET search_path = evil, pg_temp, pg_catalog;
SELECT check_name, rows FROM vm.vm_check('refs.staged_vouchers_p') WHERE pg_catalog.starts_with(check_name, 'reference');
SELECT check_name, rows FROM vm.vm_check('refs.staged_campaigns_p') WHERE pg_catalog.starts_with(check_name, 'count');
SET search_path = vm, public;
DROP SCHEMA evil CASCADE;

--
-- A key without tenants, by the index's own equality; an entity that refers to itself; a partitioned parent
--
DELETE FROM vm_project_entity;
CREATE COLLATION refs.any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE refs.topics (code text COLLATE refs.any_case, above varchar(20), below integer, members smallint, PRIMARY KEY (code, below)) PARTITION BY LIST (below);
CREATE TABLE refs.topics_1 PARTITION OF refs.topics DEFAULT;
SELECT vm_define_mapping('topic', '{"columns": {"below": {"default": 0}}}');
SELECT vm_create_child('refs.topics', 'topic', 'T', 'P', 'topics_a'), vm_create_child('refs.topics', 'topic', 'T', 'P', 'topics_b');
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('a topic''s "name"', 'refs.topics', 'topic', 3, 'topics');
SELECT vm_define_reference('a topic''s "name"', 'above', 'a topic''s "name"', 'code', 'members');
INSERT INTO refs.topics VALUES ('Root', NULL, 0, 1);
INSERT INTO refs.topics_a (_id, _doc) VALUES ('1', '{"code": "a", "above": "ROOT", "members": 2}'), ('2', '{"code": "b", "above": "A", "members": 0}'),
    ('3', '{"code": "c", "above": "D", "members": 1}'), ('4', '{"code": "e", "above": "f", "members": 0}');
INSERT INTO refs.topics_b (_id, _doc) VALUES ('1', '{"code": "d", "above": "a", "members": 2}');
SELECT * FROM found('refs.topics_a');
SELECT * FROM found('refs.topics_b');
DROP TABLE refs.topics_a, refs.topics_b, refs.topics;
-- A parent that is gone has no references either.
SELECT check_name FROM found('refs.staged_vouchers_p');
DROP TABLE refs.campaigns CASCADE;
SELECT check_name FROM found('refs.staged_vouchers_p');

DELETE FROM vm_parent;
DELETE FROM vm_project;
DELETE FROM vm_reference WHERE NOT shipped;
DELETE FROM vm_mapping WHERE NOT shipped;
DELETE FROM vm_child;
SET client_min_messages = warning;
DROP FUNCTION found, voucher, campaign;
DROP SCHEMA refs CASCADE;
DROP OWNED BY regress_vm_checker;
DROP ROLE regress_vm_checker;
