-- Every object of the extension says what it is.
SELECT pg_describe_object(d.classid, d.objid, 0) AS without_comment
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
WHERE e.extname = 'voucher_migrate' AND d.deptype = 'e'
  -- types and sequences that come with a table or a column
  AND NOT EXISTS (SELECT FROM pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i')
  AND NOT EXISTS (SELECT FROM pg_type t WHERE d.classid = 'pg_type'::regclass AND t.oid = d.objid AND (t.typrelid <> 0 OR t.typelem <> 0))
  AND obj_description(d.objid, d.classid::regclass::name) IS NULL
ORDER BY 1;

-- A function's says what each argument and each result column is, in a line that begins with its name.
SELECT p.oid::regproc AS function, a.name AS not_in_its_comment
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid CROSS JOIN unnest(p.proargnames) WITH ORDINALITY a(name, n)
WHERE e.extname = 'voucher_migrate' AND d.deptype = 'e' AND position(E'\n' || a.name || ': ' IN obj_description(p.oid, 'pg_proc')) = 0
ORDER BY p.proname COLLATE "C", a.n;

SELECT a.attrelid::regclass AS table, a.attname AS column_without_comment
FROM pg_depend d JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid
JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
JOIN pg_attribute a ON a.attrelid = c.oid
WHERE e.extname = 'voucher_migrate' AND d.deptype = 'e' AND c.relkind IN ('r', 'v') AND a.attnum > 0 AND NOT a.attisdropped
  AND col_description(a.attrelid, a.attnum) IS NULL
ORDER BY 1, a.attnum;

-- So do triggers and the indexes that are not a constraint's.
SELECT t.tgrelid::regclass AS table, t.tgname AS trigger_without_comment FROM pg_trigger t
WHERE t.tgrelid IN ('vm.vm_mapping'::regclass, 'vm.vm_anomaly'::regclass, 'vm.vm_quarantine'::regclass) AND NOT t.tgisinternal
  AND obj_description(t.oid, 'pg_trigger') IS NULL;
SELECT i.indexrelid::regclass AS index_without_comment FROM pg_index i
WHERE i.indrelid IN ('vm.vm_mapping'::regclass, 'vm.vm_anomaly'::regclass, 'vm.vm_quarantine'::regclass)
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
  AND obj_description(i.indexrelid, 'pg_class') IS NULL;

-- And the extension.
SELECT obj_description(oid, 'pg_extension') IS NOT NULL AS extension_has_comment FROM pg_extension WHERE extname = 'voucher_migrate';

-- It goes as it came.
DROP EXTENSION voucher_migrate;
SELECT count(*) FROM pg_proc WHERE pronamespace = 'vm'::regnamespace;
SELECT count(*) FROM pg_class WHERE relnamespace = 'vm'::regnamespace;
-- Into a schema whose name needs quotes, and again.
CREATE SCHEMA "Vm ""two""";
CREATE EXTENSION voucher_migrate SCHEMA "Vm ""two""";
CREATE TABLE public.shop (id text PRIMARY KEY, updated_at timestamptz);
SELECT "Vm ""two""".vm_define_mapping('shop', '{"watermark": "updated_at", "on_error": "quarantine"}');
SELECT "Vm ""two""".vm_create_child('public.shop', 'shop', 'T', 'P', 'staged');
INSERT INTO public.staged (_id, _doc) VALUES ('1', '{"id": "1"}'), ('2', '{}'), ('3', '{"id": "3", "updated_at": 2}');
SELECT * FROM "Vm ""two""".vm_move_batch('public.staged');
SELECT _id, message FROM "Vm ""two""".vm_quarantine;
-- The extension does not go while a child needs it.
\set VERBOSITY sqlstate
DROP EXTENSION voucher_migrate;
\set VERBOSITY default
SET client_min_messages = warning;
DROP TABLE public.shop CASCADE;
DROP EXTENSION voucher_migrate;
DROP SCHEMA "Vm ""two""", vm CASCADE;
