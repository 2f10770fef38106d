-- For the move: a parent with 1,000,000 rows, a primary key and three indexes, and a child with :rows more.
DROP INDEX bench.vouchers_updated_at_idx;
INSERT INTO bench.plain_native (_id, _doc) SELECT _id, _doc FROM bench.docs;
SELECT string_agg(attname, ', ' ORDER BY attnum) AS columns, string_agg(attname, ', ' ORDER BY attnum) FILTER (WHERE attname <> 'id') AS others
FROM pg_attribute WHERE attrelid = 'bench.vouchers'::regclass AND attnum > 0 AND NOT attisdropped \gset
INSERT INTO bench.vouchers (:others, id)
SELECT :others, 'old_' || k || id FROM bench.plain_native CROSS JOIN generate_series(0, 1000000 / :rows) k LIMIT 1000000;
SELECT vm_create_child('bench.vouchers', 'voucher', 'TENANT', 'PROJECT', 'child');
ALTER TABLE bench.child DISABLE TRIGGER vm_transform;
INSERT INTO bench.child (:columns, _id, _doc) SELECT :columns, _id, _doc FROM bench.plain_native;
ALTER TABLE bench.child ENABLE ALWAYS TRIGGER vm_transform;
CREATE TABLE bench.keys AS SELECT row_number() OVER (ORDER BY md5(id)) AS n, id FROM bench.child;
CREATE UNIQUE INDEX ON bench.keys (n);
DROP TABLE bench.child_native, bench.child_article, bench.plain_native, bench.plain_article, bench.stored_native, bench.stored_article,
    bench.docs, bench.hexes, bench.arrays;

-- The floor: nothing is checked, nobody is waited for.
CREATE PROCEDURE bench.floor() LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO bench.vouchers (%1$s) SELECT %1$s FROM ONLY bench.child',
        (SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
         WHERE attrelid = 'bench.vouchers'::regclass AND attnum > 0 AND NOT attisdropped));
    TRUNCATE ONLY bench.child;
END $$;

-- The article's statement, on the same child as all others.
DO $$
BEGIN
    EXECUTE replace(pg_get_functiondef('article.move_batch'::regproc), 'bench.child_article', 'bench.child');
END $$;

-- What an application does through the parent meanwhile. A row that is not found although it exists is a lost write.
CREATE TABLE bench.written (n bigint, found boolean);
CREATE FUNCTION bench.write(which bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    key text := (SELECT id FROM bench.keys WHERE n = which);
BEGIN
    UPDATE bench.vouchers SET active = NOT active, updated_at = clock_timestamp()
    WHERE tenant_id = 'TENANT' AND project_id = 'PROJECT' AND id = key;
    INSERT INTO bench.written VALUES (which, FOUND);
END $$;
CREATE TABLE bench.moved (variant text, rows integer, us double precision, wal double precision);
VACUUM ANALYZE bench.vouchers, bench.child, bench.keys;
