-- The extension's side.
CREATE TRIGGER transform BEFORE INSERT OR UPDATE OF _doc ON bench.plain_native
    FOR EACH ROW EXECUTE FUNCTION transform_voucher('TENANT', 'PROJECT');
CREATE TRIGGER transform BEFORE INSERT OR UPDATE OF _doc ON bench.stored_native
    FOR EACH ROW EXECUTE FUNCTION transform_voucher('TENANT', 'PROJECT');
SELECT vm_create_child('bench.vouchers', 'voucher', 'TENANT', 'PROJECT', 'child_native');
