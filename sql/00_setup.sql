-- The extension in a schema of its own, for all that follows.
SET client_min_messages = warning;
CREATE SCHEMA vm;
CREATE EXTENSION voucher_migrate SCHEMA vm;
RESET client_min_messages;

-- Not to be moved afterwards.
ALTER EXTENSION voucher_migrate SET SCHEMA public;

\x on
-- The functions and tables there are.
SELECT p.proname AS function, pg_get_function_arguments(p.oid) AS arguments,
       pg_get_function_result(p.oid) AS result, p.provolatile AS volatile, p.proisstrict AS strict, p.proparallel AS parallel,
       p.prosecdef AS definer, p.proconfig AS config
FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
  AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'voucher_migrate')
ORDER BY p.proname COLLATE "C";

\x off
SELECT c.oid::regclass AS table, c.relkind AS kind, c.oid = ANY (e.extconfig) AS dumped
FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_extension e ON e.oid = d.refobjid
WHERE d.classid = 'pg_class'::regclass AND d.deptype = 'e' AND e.extname = 'voucher_migrate' AND c.relkind IN ('r', 'S', 'v')
ORDER BY c.oid::regclass::text COLLATE "C";

-- Two mappings are shipped.
SELECT mapping, shipped, jsonb_pretty(rules) AS rules FROM vm.vm_mapping ORDER BY mapping;
