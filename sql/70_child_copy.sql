-- What a child gets of its parent's keys, where the catalog shows more, or less, than what was declared.
SET search_path = vm, public;
\pset null '<NULL>'
SELECT vm_define_mapping('plain', '{"watermark": "updated_at"}');

--
-- A foreign key to a partitioned table: once, not once more for each partition
--
CREATE SCHEMA copied;
CREATE TABLE copied.customers (id integer PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE copied.customers_1 PARTITION OF copied.customers FOR VALUES FROM (0) TO (100);
CREATE TABLE copied.customers_2 PARTITION OF copied.customers FOR VALUES FROM (100) TO (200);
INSERT INTO copied.customers VALUES (1), (150);
CREATE TABLE copied.orders (id text PRIMARY KEY, customer integer REFERENCES copied.customers, updated_at timestamptz);
SELECT vm_create_child('copied.orders', 'plain', 'T', 'P');
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'copied."orders_T_P"'::regclass AND contype = 'f' AND conparentid = 0;
INSERT INTO copied."orders_T_P" (_id, _doc) VALUES ('1', '{"id": "1", "customer": 1}'), ('2', '{"id": "2", "customer": 150}');
SELECT id, customer FROM copied."orders_T_P" ORDER BY id;
\set VERBOSITY sqlstate
INSERT INTO copied."orders_T_P" (_id, _doc) VALUES ('3', '{"id": "3", "customer": 2}');
\set VERBOSITY default

--
-- One that a partitioned table has to itself is not copied at all
--
CREATE TABLE copied.tree (id text PRIMARY KEY, above text REFERENCES copied.tree, updated_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE copied.tree_1 PARTITION OF copied.tree FOR VALUES WITH (MODULUS 1, REMAINDER 0);
SELECT vm_create_child('copied.tree', 'plain', 'T', 'P');
SELECT count(*) FROM pg_constraint WHERE conrelid = 'copied."tree_T_P"'::regclass AND contype = 'f';
INSERT INTO copied."tree_T_P" (_id, _doc) VALUES ('1', '{"id": "1", "above": "0"}');

--
-- Of a temporary table, for who tries things out
--
CREATE TEMP TABLE tried (id text PRIMARY KEY, code text UNIQUE, updated_at timestamptz);
CREATE INDEX ON tried (updated_at);
SELECT vm_create_child('tried', 'plain', 'T', 'P');
SELECT regexp_replace(pg_get_indexdef(indexrelid), '.* USING', 'USING') FROM pg_index WHERE indrelid = '"tried_T_P"'::regclass ORDER BY 1;
DROP TABLE "tried_T_P", tried;

--
-- WITHOUT OVERLAPS, from PostgreSQL 18 on: the same rows are kept out
--
DO $$
BEGIN
    IF current_setting('server_version_num')::integer < 180000 THEN
        RETURN;
    END IF;
    CREATE TABLE copied.prices (id int4range, during tstzrange, also int4range, updated_at timestamptz);
    EXECUTE 'ALTER TABLE copied.prices ADD PRIMARY KEY (id, during WITHOUT OVERLAPS), ADD UNIQUE (also, during WITHOUT OVERLAPS)';
    PERFORM vm_create_child('copied.prices', 'plain', 'T', 'P');
    IF 2 <> (SELECT count(*) FROM pg_constraint WHERE conrelid = 'copied."prices_T_P"'::regclass AND pg_get_constraintdef(oid)
        IN ('UNIQUE (id, during WITHOUT OVERLAPS)', 'UNIQUE (also, during WITHOUT OVERLAPS)')) THEN
        RAISE EXCEPTION 'not copied';
    END IF;
    INSERT INTO copied."prices_T_P" (_id, _doc) VALUES ('1', '{"id": "[1,2)", "also": "[1,2)", "during": "[2020-01-01,2020-02-01)"}');
    BEGIN
        INSERT INTO copied."prices_T_P" (_id, _doc) VALUES ('2', '{"id": "[1,2)", "also": "[2,3)", "during": "[2020-01-15,2020-03-01)"}');
        RAISE EXCEPTION 'not kept out';
    EXCEPTION WHEN exclusion_violation THEN
    END;
    -- Nothing to move by: with such a key no row can replace another.
    BEGIN
        PERFORM vm_move_batch('copied."prices_T_P"');
        RAISE EXCEPTION 'moved';
    EXCEPTION WHEN undefined_object THEN
    END;
    CREATE UNIQUE INDEX ON copied.prices (id);
    ALTER TABLE copied.prices ALTER id SET NOT NULL;
    PERFORM vm_move_batch('copied."prices_T_P"');
    IF 1 <> (SELECT count(*) FROM ONLY copied.prices) THEN
        RAISE EXCEPTION 'not moved';
    END IF;
END $$;

SET client_min_messages = warning;
DROP SCHEMA copied CASCADE;
DELETE FROM vm_mapping WHERE NOT shipped;
DELETE FROM vm_child;
DELETE FROM vm_feed_seen;
DELETE FROM vm_move_batches;
DELETE FROM vm_move_place;
