-- The extension's side of the twins.
SELECT vm_define_mapping('diff', '{
  "columns": {
    "seq":        {"ignore": true},
    "tenant_id":  {"default": {"arg": 1}},
    "project_id": {"default": {"arg": 2}},
    "id":         {"default": "MISSING"},
    "deleted":    {"default": false},
    "publish":    {"default": {}, "floor": {"count": 0}},
    "created_at": {"from": "_id", "as": "objectid_time"},
    "deleted_at": {"from": ["deletedAt", "deleted_at"]},
    "normalized": {"normalize": true}
  },
  "watermark": ["updated_at", "deleted_at"],
  "on_error": "raise"
}');
SELECT vm_define_mapping('diff_anything', '{"columns": {"seq": {"ignore": true}}}');

CREATE TRIGGER transform BEFORE INSERT OR UPDATE OF _doc ON nat.docs
    FOR EACH ROW EXECUTE FUNCTION vm_transform('diff', 'TENANT', 'PROJECT');
CREATE TRIGGER transform BEFORE INSERT OR UPDATE OF _doc ON nat.docs_abroad
    FOR EACH ROW EXECUTE FUNCTION vm_transform('diff', 'TENANT', 'PROJECT');
CREATE TRIGGER transform BEFORE INSERT OR UPDATE OF _doc ON nat.anything
    FOR EACH ROW EXECUTE FUNCTION vm_transform('diff_anything');
