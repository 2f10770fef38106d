-- The production table, and a project of it that is about to migrate.
CREATE TABLE vouchers (
    tenant_id  text NOT NULL,
    project_id text NOT NULL,
    id         text NOT NULL,
    redeemed   integer NOT NULL,
    updated_at timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
SELECT vm_define_mapping('voucher', '{
    "columns": {"tenant_id": {"default": {"arg": 1}}, "project_id": {"default": {"arg": 2}}, "redeemed": {"default": 0}},
    "watermark": "updated_at"}');
SELECT vm_register_parent('vouchers', 'voucher');
SELECT vm_add_project('acme', 'spring');
SELECT vm_record_step('acme', 'spring', 'source_check', 'clean');
SELECT * FROM vm_prepare('acme', 'spring');
