BEGIN;
SELECT pg_advisory_xact_lock(hashtext('acme/spring'));
SELECT * FROM vm_switch('acme', 'spring', 'voucher', quiet_seconds => 1);
COMMIT;
