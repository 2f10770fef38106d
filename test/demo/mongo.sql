-- Production, as an application has it, and a stand-in for MongoDB: documents in the forms that drivers and tools write.
-- Beside each document stands what it means, so that rows are compared with something the extension did not compute.
CREATE TABLE public.campaigns (
    tenant_id      text NOT NULL,
    project_id     text NOT NULL,
    id             text NOT NULL,
    name           text NOT NULL,
    campaign_type  text NOT NULL,
    vouchers_count integer NOT NULL DEFAULT 0,
    deleted        boolean NOT NULL DEFAULT false,
    created_at     timestamptz,
    updated_at     timestamptz,
    deleted_at     timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE UNIQUE INDEX ON public.campaigns (tenant_id, project_id, name);
CREATE TABLE public.vouchers (
    tenant_id   text NOT NULL,
    project_id  text NOT NULL,
    id          text NOT NULL,
    code        text NOT NULL,
    campaign_id text,
    discount    jsonb,
    publish     jsonb,
    redeemed    integer NOT NULL DEFAULT 0,
    deleted     boolean NOT NULL DEFAULT false,
    created_at  timestamptz,
    updated_at  timestamptz,
    deleted_at  timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE UNIQUE INDEX ON public.vouchers (tenant_id, project_id, code);
CREATE INDEX ON public.vouchers (tenant_id, project_id, campaign_id, created_at);
INSERT INTO public.campaigns (tenant_id, project_id, id, name, campaign_type, vouchers_count, created_at, updated_at)
SELECT 'globex', 'spring', 'camp_' || n, 'Spring ' || n, 'GIFT_VOUCHERS', 100, t, t
FROM generate_series(1, 5) n, LATERAL (SELECT timestamptz '2023-02-01 00:00:00+00' + n * interval '1 day') c (t);
INSERT INTO public.vouchers (tenant_id, project_id, id, code, campaign_id, publish, created_at, updated_at)
SELECT 'globex', 'spring', 'v_' || n, 'SPRING-' || n, 'camp_' || n % 5 + 1, '{"count": 0}', t, t
FROM generate_series(1, 500) n, LATERAL (SELECT timestamptz '2023-02-01 00:00:00+00' + n * interval '1 hour') c (t);

CREATE SCHEMA mongo;
CREATE TABLE mongo.projects (tenant text, project text, vouchers integer);
INSERT INTO mongo.projects VALUES ('acme', 'winter', 6000), ('acme', 'outlet', 2000), ('acme', 'summer', 3000);

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
    FROM CAST(floor(extract(epoch FROM t) * 1000) AS bigint) ms
$$;

CREATE FUNCTION mongo.number(n integer, form integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT format((ARRAY['%s', '{"$numberInt":"%s"}', '{"$numberLong":"%s"}', '%s.0', '"%s"'])[form % 5 + 1], n)
$$;

CREATE TABLE mongo.vouchers (
    project     text NOT NULL,
    n           integer NOT NULL,
    _id         text PRIMARY KEY,
    id          text NOT NULL,
    code        text NOT NULL,
    campaign_id text,
    discount    jsonb,
    published   integer NOT NULL,
    redeemed    integer NOT NULL,
    deleted     boolean NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    dirt        text,
    _doc        text NOT NULL,
    UNIQUE (project, n),
    UNIQUE (project, id)
);

-- The entries of publish; dates in them are what the article's team had to mend.
CREATE FUNCTION mongo.entries(n integer, dirt text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT '[' || coalesce(string_agg(format('{"channel":"%s"%s}', channel, CASE WHEN dirt = 'date' THEN ',"at":{"$date":1696240343001}' ELSE '' END), ','), '') || ']'
    FROM unnest((ARRAY['mail', 'api', 'web'])[1:n]) channel
$$;

CREATE FUNCTION mongo.write_voucher() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW._doc := format('{"_id":{"$oid":"%s"},"id":"%s",%s"%s":%s,"discount":%s,"publish":%s,"redeemed":%s,"deleted":%s%s,'
        '"metadata":{"note":"grüezi \"n\u00b0 %s\""},"updated_at":%s}',
        NEW._id, NEW.id,
        CASE WHEN NEW.dirt = 'code' THEN '"voucher_code":"' || NEW.code || '",' ELSE '"code":"' || NEW.code || '",' END,
        CASE WHEN NEW.n % 9 = 0 THEN 'campaignId' ELSE 'campaign_id' END,
        coalesce('"' || NEW.campaign_id || '"', 'null'),
        coalesce(NEW.discount::text, 'null'),
        format('{"object":"list","count":%s,"entries":%s}',
            CASE WHEN NEW.n % 37 = 0 THEN '"' || NEW.published || '.00001"' ELSE NEW.published::text END, mongo.entries(NEW.published, NEW.dirt)),
        mongo.number(NEW.redeemed, NEW.n),
        CASE WHEN NEW.dirt = 'maybe' THEN '"maybe"' WHEN NEW.n % 11 = 0 THEN '"' || NEW.deleted || '"' ELSE NEW.deleted::text END,
        CASE WHEN NEW.deleted THEN format(',"%s":', CASE WHEN NEW.n % 2 = 0 THEN 'deleted_at' ELSE 'deletedAt' END) || mongo.date(NEW.updated_at, NEW.n + 3)
             WHEN NEW.n % 3 = 0 THEN ',"deletedAt":null' ELSE '' END,
        NEW.n, mongo.date(NEW.updated_at, NEW.n));
    RETURN NEW;
END $$;
CREATE TRIGGER write BEFORE INSERT OR UPDATE ON mongo.vouchers FOR EACH ROW EXECUTE FUNCTION mongo.write_voucher();

CREATE FUNCTION mongo.new_voucher(project text, n integer, created timestamptz, updated timestamptz) RETURNS void LANGUAGE sql AS $$
    INSERT INTO mongo.vouchers (project, n, _id, id, code, campaign_id, discount, published, redeemed, deleted, created_at, updated_at)
    SELECT project, n, to_hex(extract(epoch FROM created)::bigint) || substr(h, 1, 10) || lpad(to_hex(n), 6, '0'), 'v_' || n,
        upper(substr(h, 11, 4)) || '-' || lpad(n::text, 5, '0'), CASE WHEN n % 5 > 0 AND n < 100000 THEN 'camp_' || n % 12 + 1 END,
        jsonb_build_object('type', 'PERCENT', 'percent_off', n % 60 + 5), n % 4, CASE WHEN n < 100000 THEN n % 17 ELSE 0 END,
        n % 29 = 0 AND n < 100000, date_trunc('second', created), date_trunc('milliseconds', updated)
    FROM md5(project || n) h
$$;
SELECT mongo.new_voucher(project, n, created, created + n * interval '1.37 hours' + (n % 1000) * interval '1 millisecond')
FROM mongo.projects, generate_series(1, vouchers) n, LATERAL (SELECT timestamptz '2023-10-02 08:00:00+00' + n * interval '611 seconds') c (created);

CREATE TABLE mongo.campaigns (project text, n integer, _id text PRIMARY KEY, id text, name text, vouchers_count integer, updated_at timestamptz, _doc text);
INSERT INTO mongo.campaigns
SELECT project, c.n, _id, 'camp_' || c.n, 'Sale ' || c.n, listed, updated, format('{"_id":{"$oid":"%s"},"id":"camp_%s","name":"Sale %s",'
    '"campaignType":"DISCOUNT_COUPONS","vouchers_count":%s,"updated_at":%s}', _id, c.n, c.n, mongo.number(listed, c.n), mongo.date(updated, c.n))
FROM mongo.projects p CROSS JOIN generate_series(1, 12) c (n),
    LATERAL (SELECT timestamptz '2023-09-01 08:00:00+00' + c.n * interval '1 hour', timestamptz '2023-09-01 08:00:00+00' + c.n * interval '1.001 days') t (created, updated),
    LATERAL (SELECT to_hex(extract(epoch FROM created)::bigint) || substr(md5(project), 1, 10) || lpad(to_hex(c.n), 6, '0')) o (_id),
    LATERAL (SELECT count(*)::integer FROM mongo.vouchers v WHERE v.project = p.project AND campaign_id = 'camp_' || c.n AND NOT deleted) v (listed);

-- An old release wrote code under another name; a script has left a text where a boolean belongs, and dates in entries.
UPDATE mongo.vouchers SET dirt = 'code' WHERE project = 'outlet' AND n IN (303, 304, 305);
UPDATE mongo.vouchers SET dirt = 'maybe' WHERE project = 'outlet' AND n = 101;
UPDATE mongo.vouchers SET dirt = 'date' WHERE project = 'outlet' AND n IN (401, 402);
UPDATE mongo.vouchers SET discount = NULL WHERE project = 'outlet' AND n % 400 = 7;

-- What is changed from now on is what a feed has to bring.
CREATE TABLE mongo.oplog (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, child text, _id text, _doc text, held boolean NOT NULL);
CREATE FUNCTION mongo.log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO mongo.oplog (child, _id, _doc, held) VALUES ('vouchers_acme_' || NEW.project, NEW._id, NEW._doc, NEW.id = 'v_777' AND NEW.project = 'summer');
    RETURN NULL;
END $$;
CREATE TRIGGER log AFTER INSERT OR UPDATE ON mongo.vouchers FOR EACH ROW EXECUTE FUNCTION mongo.log();

-- The feed's first copy.
CREATE FUNCTION mongo.copy_all() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text;
BEGIN
    FOR name IN SELECT project FROM mongo.projects LOOP
        EXECUTE format('INSERT INTO campaigns_acme_%s (_id, _doc) SELECT _id, _doc FROM mongo.campaigns WHERE project = %1$L', name);
        EXECUTE format('INSERT INTO vouchers_acme_%s (_id, _doc) SELECT _id, _doc FROM mongo.vouchers WHERE project = %1$L ORDER BY n', name);
    END LOOP;
END $$;

-- And its replication: what was logged, in its order. What a mover has just taken is tried again.
CREATE FUNCTION mongo.replicate() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    change mongo.oplog;
BEGIN
    FOR change IN SELECT * FROM mongo.oplog WHERE NOT held ORDER BY seq LOOP
        EXECUTE format('INSERT INTO %I (_id, _doc) VALUES ($1, $2) ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc', change.child)
        USING change._id, change._doc;
        DELETE FROM mongo.oplog WHERE seq = change.seq;
    END LOOP;
EXCEPTION WHEN serialization_failure THEN
    NULL;
END $$;
CREATE TABLE mongo.stopped ();
CREATE PROCEDURE mongo.feed() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. 6000 LOOP
        PERFORM mongo.replicate();
        COMMIT;
        EXIT WHEN EXISTS (SELECT FROM mongo.stopped);
        PERFORM pg_sleep(0.05);
    END LOOP;
END $$;

-- What was there before, and what the application was told is written: by whom it was asked, and for which voucher.
CREATE TABLE mongo.before_vouchers AS TABLE mongo.vouchers;
CREATE TABLE mongo.before AS SELECT * FROM ONLY public.vouchers;
CREATE TABLE mongo.acknowledged (what text NOT NULL, place text NOT NULL, id text NOT NULL);
