-- For the checks: a child with :rows vouchers as the feed brought them, one whose jsonb is without wrappers, and a parent with as
-- many others. bench.check_queries: the shipped row conditions of a child, its keys against the parent, and its campaigns, as queries of
-- their own.
INSERT INTO bench.plain_native (_id, _doc) SELECT _id, _doc FROM bench.docs;
SELECT string_agg(attname, ', ' ORDER BY attnum) AS columns, string_agg(attname, ', ' ORDER BY attnum) FILTER (WHERE attname <> 'id') AS others
FROM pg_attribute WHERE attrelid = 'bench.vouchers'::regclass AND attnum > 0 AND NOT attisdropped \gset
INSERT INTO bench.vouchers (:others, id) SELECT :others, 'old_' || id FROM bench.plain_native;
SELECT vm_create_child('bench.vouchers', 'voucher', 'TENANT', 'PROJECT', 'child');
INSERT INTO bench.child (_id, _doc) SELECT _id, _doc FROM bench.docs;
SELECT vm_define_mapping('voucher', (SELECT jsonb_set(jsonb_set(rules, '{columns,publish,normalize}', 'true'), '{columns,redemption}', '{"normalize": true}')
    FROM vm_mapping WHERE mapping = 'voucher'));
SELECT vm_create_child('bench.vouchers', 'voucher', 'TENANT2', 'PROJECT', 'child_normal');
INSERT INTO bench.child_normal (_id, _doc) SELECT _id, _doc FROM bench.docs;
DROP TABLE bench.child_native, bench.child_article, bench.plain_native, bench.plain_article, bench.stored_native, bench.stored_article,
    bench.docs, bench.hexes, bench.arrays;
CREATE TABLE bench.campaigns (tenant_id text, project_id text, name text, PRIMARY KEY (tenant_id, project_id, name));
INSERT INTO bench.campaigns SELECT t, 'PROJECT', 'summer sale ' || n FROM unnest('{TENANT,TENANT2}'::text[]) t, generate_series(0, 95) n;
INSERT INTO vm_parent (entity, parent, mapping, move_order, source_collection) VALUES ('voucher', 'bench.vouchers', 'voucher', 1, 'vouchers'),
    ('campaign', 'bench.campaigns', 'campaign', 2, 'campaigns');
SELECT vm_define_reference('voucher', 'campaign', 'campaign', 'name');
VACUUM ANALYZE bench.vouchers, bench.child, bench.child_normal, bench.campaigns;

CREATE FUNCTION bench.check_queries(child regclass) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT format('SELECT count(*) FROM ONLY %s WHERE %s', child, CASE WHEN condition LIKE '%vm_jsonb%' THEN
        (SELECT string_agg('(' || replace(condition, 'vm_jsonb', attname) || ')', ' OR ') FROM pg_attribute
         WHERE attrelid = child AND atttypid = 'jsonb'::regtype AND NOT attisdropped)
        ELSE replace(condition, 'vm_watermark', 'GREATEST(updated_at, deleted_at)') END)
    FROM (SELECT DISTINCT ON (check_name) * FROM vm_check_rule WHERE coalesce(mapping, 'voucher') = 'voucher' AND condition IS NOT NULL
          ORDER BY check_name, mapping) r
    UNION ALL SELECT format('SELECT count(*) FROM ONLY %s c WHERE EXISTS (SELECT FROM ONLY bench.vouchers p WHERE p.tenant_id = c.tenant_id '
        'AND p.project_id = c.project_id AND p.id = c.id)', child)
    UNION ALL SELECT format('SELECT count(*) FROM ONLY %s c WHERE campaign IS NOT NULL AND NOT EXISTS (SELECT FROM bench.campaigns p '
        'WHERE p.tenant_id = c.tenant_id AND p.project_id = c.project_id AND p.name = c.campaign)', child)
$$;
CREATE PROCEDURE bench.run_queries(child regclass) LANGUAGE plpgsql AS $$
DECLARE
    query text;
BEGIN
    FOR query IN SELECT * FROM bench.check_queries(child) LOOP
        EXECUTE query;
    END LOOP;
END $$;

-- Both must have found the same.
CREATE FUNCTION bench.found(child regclass) RETURNS bigint[] LANGUAGE plpgsql AS $$
DECLARE
    query text;
    found bigint;
    alone bigint := 0;
BEGIN
    FOR query IN SELECT * FROM bench.check_queries(child) LOOP
        EXECUTE query INTO found;
        alone := alone + found;
    END LOOP;
    RETURN ARRAY[alone, (SELECT sum(rows)::bigint FROM vm_check(child) WHERE check_name NOT LIKE 'open%' AND check_name NOT LIKE 'unres%')];
END $$;
