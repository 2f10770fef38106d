-- A project that was added by mistake is taken out, unless something relies on it.
SET search_path = removed, vm;
\pset null '<NULL>'
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE SCHEMA removed;
CREATE TABLE shop (tenant text, project text, id text PRIMARY KEY, deleted boolean NOT NULL DEFAULT false, updated_at timestamptz);
SELECT vm_define_mapping('shop', '{"columns": {"tenant": {"default": {"arg": 1}}, "project": {"default": {"arg": 2}}, "deleted": {"default": false}}, "watermark": "updated_at"}');
RESET client_min_messages;
-- Before any parent is registered, too.
SELECT vm_add_project('T', 'P''s'), vm_add_project('U', 'P''s');
SELECT vm_remove_project('T', 'nobody');
SELECT vm_remove_project('T', NULL);
SELECT vm_remove_project('T', 'P''s');
SELECT tenant, project FROM vm_project;
SELECT vm_register_parent('shop', 'shop');

-- It has a child.
SELECT vm_record_step('U', 'P''s', 'source_check', 'clean');
SELECT vm_prepare('U', 'P''s');
SELECT vm_record_step('U', 'P''s', 'feed_start');
INSERT INTO "shop_U_P's" (_id, _doc) VALUES ('1', '{"id": "1"}'), ('half', NULL);
SELECT entity, check_name, rows FROM vm_check_project('U', 'P''s');
SELECT vm_remove_project('U', 'P''s');
DROP TABLE "shop_U_P's";
SELECT vm_remove_project('U', 'P''s');
SELECT (SELECT count(*) FROM vm_project) AS projects, (SELECT count(*) FROM vm_project_entity) AS entities;
SELECT entity, step, passed, found, done_by = current_user AS by_me FROM vm_history WHERE tenant = 'U' ORDER BY history_id;
-- Added again it begins at the beginning: what the checks found then is no matter now.
SELECT vm_add_project('U', 'P''s');
SELECT vm_record_step('U', 'P''s', 'source_check', 'clean');
SELECT step, next_step, failed_checks FROM vm_status;
SELECT vm_prepare('U', 'P''s');
SELECT vm_record_step('U', 'P''s', 'feed_start');
SELECT step, next_step, failed_checks FROM vm_status;
SELECT step, why_not_yet FROM vm_next('U', 'P''s');

-- Rows of it have moved.
INSERT INTO "shop_U_P's" (_id, _doc) VALUES ('1', '{"id": "1", "deleted": true, "updated_at": 1}'), ('2', '{"id": "2", "updated_at": 1}');
SELECT moved FROM vm_move_batch('"shop_U_P''s"', filter => 'deleted');
DROP TABLE "shop_U_P's";
SELECT vm_remove_project('U', 'P''s');
DELETE FROM vm_move_batches;
DELETE FROM vm_history;
INSERT INTO vm_history (tenant, project, entity, step, found) VALUES ('U', 'P''s', 'shop', 'move_closed', '0 inserted, 0 updated, 0 kept back, 0 quarantined');
BEGIN;
SELECT vm_remove_project('U', 'P''s');
ROLLBACK;
INSERT INTO vm_history (tenant, project, entity, step, found) VALUES ('U', 'P''s', 'shop', 'move', '10 inserted, 0 updated, 0 kept back, 0 quarantined');
SELECT vm_remove_project('U', 'P''s');
DELETE FROM vm_history;
-- It is switched over, of an entity that is not registered any more.
INSERT INTO vm_flag (tenant, project, entity, switched) VALUES ('U', 'P''s', 'bill', true), ('U', 'P''s', 'shop', false);
SELECT vm_remove_project('U', 'P''s');
UPDATE vm_flag SET switched = false;
SELECT vm_remove_project('U', 'P''s');

-- A pool's child serves it.
SELECT vm_create_pool('shop', 1), vm_add_project('T', 'pooled');
SELECT * FROM vm_prepare('T', 'pooled');
SELECT vm_remove_project('T', 'pooled');

-- Who may call it needs no right on a table; who may not is refused.
CREATE ROLE regress_vm_operator;
GRANT USAGE ON SCHEMA vm TO regress_vm_operator;
SELECT vm_add_project('T', 'theirs');
SET ROLE regress_vm_operator;
SELECT vm_remove_project('T', 'theirs');
RESET ROLE;
GRANT EXECUTE ON FUNCTION vm_remove_project(text, text) TO regress_vm_operator;
SET ROLE regress_vm_operator;
SELECT vm_remove_project('T', 'theirs');
RESET ROLE;
SELECT step, found = 'it was added by ' || current_user AS found, done_by FROM vm_history WHERE project = 'theirs';
BEGIN READ ONLY;
SELECT vm_remove_project('T', 'pooled');
ROLLBACK;

SET client_min_messages = warning;
DROP OWNED BY regress_vm_operator;
DROP ROLE regress_vm_operator;
DELETE FROM vm_project_entity;
SELECT vm_drop_pool('shop');
DROP SCHEMA removed CASCADE;
DELETE FROM vm_parent;
DELETE FROM vm_project;
DELETE FROM vm_history;
DELETE FROM vm_flag;
DELETE FROM vm_feed_seen;
DELETE FROM vm_mapping WHERE NOT shipped;
