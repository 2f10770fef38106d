-- A stand-in for MongoDB: two collections, as documents in the forms that drivers and tools write. Beside each document
-- stands what it means, so that the rows can be compared with something the extension did not compute.
CREATE SCHEMA mongo;

-- An instant in one of eight forms.
CREATE FUNCTION mongo.date(t timestamptz, form integer) RETURNS text LANGUAGE sql IMMUTABLE SET timezone = 'UTC' AS $$
    SELECT format(CASE form % 8
        WHEN 0 THEN '{"$date":%1$s}'
        WHEN 1 THEN '{"$date":"%2$sZ"}'
        WHEN 2 THEN '{"$date":{"$numberLong":"%1$s"}}'
        WHEN 3 THEN '{"$date":"%3$s+0200"}'
        WHEN 4 THEN '{"$date":"%1$s"}'
        WHEN 5 THEN '"%2$sZ"'
        WHEN 6 THEN '%1$s'
        ELSE '{"$date":%4$sE9}' END,
        ms, to_char(t, 'YYYY-MM-DD"T"HH24:MI:SS.MS'), to_char(t + interval '2 hours', 'YYYY-MM-DD"T"HH24:MI:SS.MS'),
        left(ms::text, -9) || '.' || right(ms::text, 9))
    FROM CAST(extract(epoch FROM t) * 1000 AS bigint) ms
$$;

CREATE FUNCTION mongo.number(n integer, form integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format((ARRAY['%s', '{"$numberInt":"%s"}', '{"$numberLong":"%s"}', '%s.0', '"%s"'])[form % 5 + 1], n)
$$;

CREATE TABLE mongo.vouchers (
    n integer NOT NULL UNIQUE,
    _id text PRIMARY KEY,
    id text,
    code text NOT NULL,
    campaign_id text,
    discount jsonb,
    published integer NOT NULL,
    redeemed integer NOT NULL,
    deleted boolean NOT NULL,
    days integer[],
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    dirt text,
    _doc text NOT NULL
);

CREATE FUNCTION mongo.write_voucher() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW._doc := format('{"_id":{"$oid":"%s"}%s,"code":"%s","%s":%s,"discount":%s,"publish":%s,'
        '"redemption":{"quantity":100,"redeemed_quantity":%s},"deleted":%s%s,"validity_day_of_week":%s,'
        '"metadata":{"note":"grüezi \"n\u00b0 %s\"","score":%s.50},"updated_at":%s}',
        NEW._id,
        CASE WHEN NEW.dirt = 'no id' THEN '' WHEN NEW.dirt = 'voucher_id' THEN ',"voucher_id":"' || NEW.id || '"' ELSE ',"id":"' || NEW.id || '"' END,
        NEW.code,
        CASE WHEN NEW.n % 9 = 0 THEN 'campaignId' ELSE 'campaign_id' END,
        coalesce('"' || NEW.campaign_id || '"', 'null'),
        coalesce(NEW.discount::text, 'null'),
        format('{"object":"list","count":%s,"entries":[]}', CASE WHEN NEW.n % 37 = 0 THEN '"' || NEW.published || '.00001"' ELSE NEW.published::text END),
        mongo.number(NEW.redeemed, NEW.n),
        CASE WHEN NEW.dirt = 'maybe' THEN '"maybe"' WHEN NEW.n % 11 = 0 THEN '"' || NEW.deleted || '"' ELSE NEW.deleted::text END,
        CASE WHEN NEW.deleted THEN format(',"%s":', CASE WHEN NEW.n % 2 = 0 THEN 'deleted_at' ELSE 'deletedAt' END) || mongo.date(NEW.updated_at, NEW.n + 3)
             WHEN NEW.n % 3 = 0 THEN ',"deletedAt":null' ELSE '' END,
        coalesce(CASE WHEN NEW.n % 6 = 0 THEN replace(replace(NEW.days::text, '{', '["'), '}', '"]')
                      ELSE replace(replace(NEW.days::text, '{', '['), '}', ']') END, 'null'),
        NEW.n, NEW.n % 10,
        CASE WHEN NEW.dirt = 'no date' THEN '{"$date":"next friday"}' ELSE mongo.date(NEW.updated_at, NEW.n) END);
    RETURN NEW;
END $$;
CREATE TRIGGER write BEFORE INSERT OR UPDATE ON mongo.vouchers FOR EACH ROW EXECUTE FUNCTION mongo.write_voucher();

CREATE FUNCTION mongo.add_vouchers(first integer, last integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO mongo.vouchers (n, _id, id, code, campaign_id, discount, published, redeemed, deleted, days, created_at, updated_at)
    SELECT n, to_hex(extract(epoch FROM created)::bigint) || '8f3a1c55d2' || lpad(to_hex(n), 6, '0'), 'v_' || left(h, 12),
        upper(substr(h, 13, 4)) || '-' || lpad(n::text, 5, '0'),
        CASE WHEN n % 5 > 0 THEN 'camp_' || n % 24 + 1 END,
        CASE WHEN n % 50 <> 7 THEN jsonb_build_object('type', 'PERCENT', 'percent_off', n % 60 + 5) END,
        n % 4, n % 17, n % 29 = 0,
        CASE WHEN n % 13 > 0 THEN ARRAY[n % 3 + 1] END, created,
        created + n * interval '1.37 hours' + (n % 1000) * interval '1 millisecond'
    FROM generate_series(first, last) n, md5('voucher ' || n) h,
        LATERAL (SELECT timestamptz '2023-10-02 08:00:00+00' + n * interval '611 seconds') c (created)
$$;
SELECT mongo.add_vouchers(1, 4000);

UPDATE mongo.vouchers SET dirt = 'maybe' WHERE n = 101;
UPDATE mongo.vouchers SET dirt = 'voucher_id' WHERE n IN (303, 304, 305);
UPDATE mongo.vouchers SET dirt = 'no id', id = NULL WHERE n = 404;
UPDATE mongo.vouchers SET dirt = 'no date' WHERE n = 505;

-- What the feed makes of them: one document is cut off, two come as NULL first and by UPDATE afterwards.
CREATE VIEW mongo.full_load AS
    SELECT _id, CASE WHEN n = 202 THEN left(_doc, 180) WHEN n IN (606, 607) THEN NULL ELSE _doc END AS _doc
    FROM mongo.vouchers ORDER BY n;

CREATE TABLE mongo.campaigns (
    n integer PRIMARY KEY,
    _id text NOT NULL UNIQUE,
    id text NOT NULL,
    name text NOT NULL,
    vouchers_count integer NOT NULL,
    updated_at timestamptz NOT NULL,
    _doc text NOT NULL
);
CREATE FUNCTION mongo.write_campaign() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW._doc := format('{"_id":{"$oid":"%s"},"id":"%s","name":"%s","campaignType":"DISCOUNT_COUPONS",'
        '"vouchers_count":%s,"updated_at":%s}', NEW._id, NEW.id, NEW.name, mongo.number(NEW.vouchers_count, NEW.n),
        mongo.date(NEW.updated_at, NEW.n));
    RETURN NEW;
END $$;
CREATE TRIGGER write BEFORE INSERT OR UPDATE ON mongo.campaigns FOR EACH ROW EXECUTE FUNCTION mongo.write_campaign();
INSERT INTO mongo.campaigns (n, _id, id, name, vouchers_count, updated_at)
SELECT c.n, to_hex(extract(epoch FROM t)::bigint) || '8f3a1c55d2' || lpad(to_hex(c.n), 6, '0'), 'camp_' || c.n, 'Winter sale ' || c.n,
    (SELECT count(*) FROM mongo.vouchers WHERE campaign_id = 'camp_' || c.n), t + c.n * interval '1.001 days'
FROM generate_series(1, 24) c (n), LATERAL (SELECT timestamptz '2023-09-01 08:00:00+00' + c.n * interval '1 hour') t (t);

-- The production tables, as an application has them, with the rows of a project that already lives here.
CREATE TABLE public.campaigns (
    tenant_id      text NOT NULL,
    project_id     text NOT NULL,
    id             text NOT NULL,
    name           text NOT NULL,
    campaign_type  text NOT NULL,
    vouchers_count integer NOT NULL DEFAULT 0,
    deleted        boolean NOT NULL DEFAULT false,
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz,
    deleted_at     timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE UNIQUE INDEX ON public.campaigns (tenant_id, project_id, name);
CREATE TABLE public.vouchers (
    tenant_id            text NOT NULL,
    project_id           text NOT NULL,
    id                   text NOT NULL,
    code                 text NOT NULL,
    campaign_id          text,
    discount             jsonb,
    publish              jsonb NOT NULL,
    redeemed             integer NOT NULL DEFAULT 0,
    deleted              boolean NOT NULL DEFAULT false,
    validity_day_of_week integer[],
    created_at           timestamptz NOT NULL,
    updated_at           timestamptz,
    deleted_at           timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE UNIQUE INDEX ON public.vouchers (tenant_id, project_id, code);
CREATE INDEX ON public.vouchers (tenant_id, project_id, campaign_id, created_at);

INSERT INTO public.campaigns (tenant_id, project_id, id, name, campaign_type, created_at)
SELECT 'globex', 'spring', 'camp_s' || n, 'Spring ' || n, 'GIFT_VOUCHERS', timestamptz '2023-02-01 00:00:00+00' + n * interval '1 day'
FROM generate_series(1, 5) n;
INSERT INTO public.vouchers (tenant_id, project_id, id, code, publish, created_at)
SELECT 'globex', 'spring', 'v_s' || n, 'SPRING-' || n, '{"count": 0}', timestamptz '2023-02-01 00:00:00+00' + n * interval '1 hour'
FROM generate_series(1, 500) n;
-- Left by a rehearsal: some are older than their documents, some were changed here afterwards.
INSERT INTO public.vouchers (tenant_id, project_id, id, code, publish, redeemed, created_at, updated_at)
SELECT 'acme', 'winter', id, code, '{"count": 0}', redeemed, created_at,
    updated_at + CASE WHEN n <= 3 THEN interval '-1 day' ELSE interval '30 days' END
FROM mongo.vouchers WHERE n <= 6;

-- What was there before, and what the application was told is written.
CREATE TABLE mongo.before AS SELECT * FROM ONLY public.vouchers;
CREATE TABLE mongo.acknowledged (what text NOT NULL, id text NOT NULL);
