-- A parent with five indexes, and documents of about 1.3 KB for it. :rows of them.
CREATE SCHEMA bench;
CREATE TABLE bench.vouchers (
    tenant_id            text NOT NULL,
    project_id           text NOT NULL,
    id                   text NOT NULL,
    code                 text,
    campaign             text,
    category             text,
    type                 text,
    additional_info      text,
    deleted              boolean NOT NULL DEFAULT false,
    active               boolean,
    discount             jsonb,
    gift                 jsonb,
    publish              jsonb,
    redemption           jsonb,
    metadata             jsonb,
    validity_day_of_week integer[],
    created_at           timestamptz,
    updated_at           timestamptz,
    deleted_at           timestamptz,
    CONSTRAINT pk_vouchers PRIMARY KEY (tenant_id, project_id, id)
);
CREATE INDEX ON bench.vouchers (project_id, code);
CREATE INDEX ON bench.vouchers (campaign);
CREATE INDEX ON bench.vouchers (created_at);
CREATE INDEX ON bench.vouchers (updated_at);

CREATE UNLOGGED TABLE bench.docs (n integer, _id varchar(200), _doc text);
INSERT INTO bench.docs
SELECT i, oid, format(
    '{"_id":{"$oid":"%1$s"},"id":"v_%2$s","code":"%3$s","campaign":"%4$s","category":"%5$s","type":"DISCOUNT_VOUCHER",'
    '"additional_info":%6$s,"active":%7$s,"deleted":%8$s,'
    '"discount":{"type":"AMOUNT","amount_off":%9$s,"effect":"APPLY_TO_ORDER","unit_type":null,'
    '"limits":{"per_order":1,"total":%10$s}},'
    '"gift":%11$s,'
    '"publish":{"object":"list","count":%12$s,"url":"/v1/vouchers/%3$s/publications?page=1&limit=10","entries":['
    '{"customer_id":"cust_%2$s","channel":"Email","published_at":{"$date":%13$s},"metadata":{"wave":%5$s}}]},'
    '"redemption":{"object":"list","quantity":%10$s,"redeemed_quantity":1,'
    '"url":"/v1/vouchers/%3$s/redemptions?page=1&limit=10",'
    '"redemption_entries":[{"id":"r_%2$s","object":"redemption","date":{"$date":%13$s},"customer_id":"cust_%2$s",'
    '"tracking_id":"track_%1$s","result":"SUCCESS","order":{"amount":%9$s,"items":[{"sku":"sku_%5$s","quantity":2}]}}]},'
    '"metadata":{"source":"import","locale":"pl_PL","shop":"warszawa-%5$s",'
    '"note":"letnia promocja \u017c\u00f3\u0142ty","score":%9$s.%5$s,'
    '"tags":["new","vip","mobile"]},"validity_day_of_week":[1,2,%14$s],"start_date":{"$date":%13$s},'
    '"updated_at":{"$date":%15$s},"deletedAt":null,"is_referral_code":false,"holder_id":"cust_%2$s","__v":3}',
    oid, left(h, 20), upper(substr(h, 9, 10)), 'summer sale ' || i % 97, 10 + i % 89,
    CASE i % 3 WHEN 0 THEN 'null' ELSE '"ordered by phone, \"call back\""' END, (i % 5 <> 0)::text,
    (i % 50 = 0)::text, 500 + i % 9500, 1 + i % 20, CASE i % 4 WHEN 0 THEN '{"amount":10000,"balance":2500}' ELSE 'null' END,
    CASE i % 10 WHEN 0 THEN '"1.00001"' ELSE '1' END, 1575648464000 + i::bigint * 997, i % 7,
    1600000000000 + i::bigint * 1009)
FROM generate_series(1, :rows) i, md5(i::text) h, LATERAL (SELECT to_hex(1575648464 + i) || left(md5(h), 16)) o(oid);
ANALYZE bench.docs;

-- For the helpers.
CREATE UNLOGGED TABLE bench.hexes AS SELECT left(_id, 8) AS h FROM bench.docs;
CREATE UNLOGGED TABLE bench.arrays AS SELECT '[1, 2, 3, 4, 5]'::jsonb AS a FROM bench.docs;

-- A child without indexes, and no TOAST to measure along; for the trigger alone and the plain COPY.
CREATE UNLOGGED TABLE bench.plain_article (_id varchar(200), _doc text) INHERITS (bench.vouchers)
    WITH (toast_tuple_target = 8160);
CREATE UNLOGGED TABLE bench.plain_native (_id varchar(200), _doc text) INHERITS (bench.vouchers)
    WITH (toast_tuple_target = 8160);
-- The same as the server stores it by default, for UPDATE: the document is compressed then.
CREATE UNLOGGED TABLE bench.stored_article (_id varchar(200), _doc text) INHERITS (bench.vouchers);
CREATE UNLOGGED TABLE bench.stored_native (_id varchar(200), _doc text) INHERITS (bench.vouchers);
-- The article's child: storage by default, the parent's indexes by hand.
CREATE TABLE bench.child_article (_id varchar(200), _doc text, PRIMARY KEY (tenant_id, project_id, id))
    INHERITS (bench.vouchers);
CREATE INDEX ON bench.child_article (project_id, code);
CREATE INDEX ON bench.child_article (campaign);
CREATE INDEX ON bench.child_article (created_at);
CREATE INDEX ON bench.child_article (updated_at);

CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON bench.plain_article
    FOR EACH ROW EXECUTE FUNCTION article.transform_voucher('TENANT', 'PROJECT');
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON bench.stored_article
    FOR EACH ROW EXECUTE FUNCTION article.transform_voucher('TENANT', 'PROJECT');
CREATE TRIGGER transform BEFORE INSERT OR UPDATE ON bench.child_article
    FOR EACH ROW EXECUTE FUNCTION article.transform_voucher('TENANT', 'PROJECT');

CREATE TABLE bench.measured (what text, variant text, round integer, value double precision);

-- Milliseconds a statement takes.
CREATE FUNCTION bench.time_of(command text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    began timestamptz := clock_timestamp();
BEGIN
    EXECUTE command;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1000;
END $$;

-- Milliseconds it spends in triggers.
CREATE FUNCTION bench.trigger_time(command text) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE
    plan json;
BEGIN
    EXECUTE 'EXPLAIN (ANALYZE, FORMAT json) ' || command INTO plan;
    RETURN (SELECT sum((t ->> 'Time')::double precision) FROM json_array_elements(plan -> 0 -> 'Triggers') t);
END $$;

-- Kilobytes of this backend's own memory, shared buffers not counted.
CREATE FUNCTION bench.memory() RETURNS integer LANGUAGE sql AS $$
    SELECT (regexp_match(pg_read_file('/proc/self/status'), 'RssAnon:\s*([0-9]+)'))[1]::integer
$$;

-- Moves all of a child, each batch in a transaction of its own.
CREATE PROCEDURE bench.move_all(batch text) LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    LOOP
        EXECUTE batch INTO moved;
        COMMIT;
        EXIT WHEN moved = 0;
    END LOOP;
END $$;
