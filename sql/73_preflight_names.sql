-- The extension in a schema whose name is anything but a word: findings and their statements hold.
SET client_min_messages = warning;
BEGIN;
ALTER SCHEMA vm RENAME TO "it's 100%s \ ""V$1""";
SET LOCAL search_path = "it's 100%s \ ""V$1""", public;
CREATE TABLE public."%I's" (id text PRIMARY KEY, updated_at timestamptz);
CREATE TABLE public."of 'it'" (id text PRIMARY KEY, whose text REFERENCES public."%I's", updated_at timestamptz);
SELECT vm_define_mapping('names', '{}');
SELECT vm_register_parent('public."of ''it''"', 'names', '%s, or ''what''', source_collection => 'all');
SELECT vm_register_parent('public."%I''s"', 'names', '100 %');
SELECT vm_add_project('T', 'P1'), vm_add_project('T', 'P2');
SELECT vm_create_child('public."of ''it''"', 'names', 'T', 'P1');
ALTER TABLE public."of 'it'_T_P1" ENABLE TRIGGER vm_transform;
SELECT severity, topic, problem, statement FROM vm_preflight('public."of ''it''"') WHERE topic IN ('foreign key', 'registry', 'child');
SELECT statement FROM vm_preflight('public."of ''it''"') WHERE topic IN ('foreign key', 'registry', 'child') AND statement IS NOT NULL \gexec
SELECT severity, topic, problem, statement FROM vm_preflight('public."of ''it''"') WHERE topic IN ('foreign key', 'registry', 'child');
SELECT entity, move_order, source_collection FROM vm_parent ORDER BY move_order;
ROLLBACK;
