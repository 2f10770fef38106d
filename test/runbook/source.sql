-- Where the runbook begins: two tables of an application, three roles, and what their feed finds at the source.
CREATE ROLE dba LOGIN;
CREATE ROLE feed LOGIN;
CREATE ROLE app LOGIN;
CREATE TABLE vouchers (
    tenant_id text NOT NULL,
    project_id text NOT NULL,
    id text NOT NULL,
    code text NOT NULL,
    campaign_id text,
    discount jsonb,
    publish jsonb,
    redeemed integer NOT NULL DEFAULT 0,
    deleted boolean NOT NULL DEFAULT false,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE UNIQUE INDEX vouchers_code ON vouchers (tenant_id, project_id, code);
CREATE TABLE campaigns (
    tenant_id text NOT NULL,
    project_id text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    campaign_type text NOT NULL,
    vouchers_count integer NOT NULL DEFAULT 0,
    deleted boolean NOT NULL DEFAULT false,
    created_at timestamptz,
    updated_at timestamptz,
    deleted_at timestamptz,
    PRIMARY KEY (tenant_id, project_id, id)
);
CREATE UNIQUE INDEX campaigns_name ON campaigns (tenant_id, project_id, name);
ALTER TABLE vouchers OWNER TO dba;
ALTER TABLE campaigns OWNER TO dba;
GRANT SELECT, INSERT, UPDATE, DELETE ON vouchers, campaigns TO app;

CREATE SCHEMA source;
GRANT USAGE ON SCHEMA source TO feed, dba;

-- The nth document of a collection. In dirty ones each has something else.
CREATE FUNCTION source.id(n integer) RETURNS text LANGUAGE sql AS $$ SELECT '5dea3850' || lpad(to_hex(n), 16, '0') $$;
CREATE FUNCTION source.voucher(n integer, dirty boolean, changes jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
    SELECT (jsonb_build_object('_id', jsonb_build_object('$oid', source.id(n)), 'id', 'v_' || n, 'code', 'CODE-' || n, 'campaign_id', 'camp_' || n % 4,
        'discount', '{"type": "PERCENT", "percent_off": 10}'::jsonb, 'redeemed', n % 5, 'deleted', n % 10 = 0,
        'publish', CASE WHEN dirty AND n = 7 THEN '{"count": 1, "entries": [{"at": {"$date": 1575648464123}}]}' ELSE '{"count": 0, "entries": []}' END::jsonb,
        'updated_at', jsonb_build_object('$date', 1575648464123 + n))
        || CASE WHEN dirty AND n = 5 THEN '{"deleted": "maybe", "removed": false}' ELSE '{}' END::jsonb || changes)::text
$$;
CREATE FUNCTION source.campaign(n integer, vouchers bigint) RETURNS text LANGUAGE sql AS $$
    SELECT jsonb_build_object('_id', jsonb_build_object('$oid', source.id(n)), 'id', 'camp_' || n, 'name', 'Campaign ' || n, 'campaign_type', 'STATIC',
        'vouchers_count', vouchers, 'updated_at', jsonb_build_object('$date', 1575648464123))::text
$$;
CREATE FUNCTION source.write(child regclass, n integer, doc text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO %s (_id, _doc) VALUES ($1, $2) ON CONFLICT (_id) DO UPDATE SET _doc = excluded._doc', child) USING source.id(n), doc;
END $$;
CREATE FUNCTION source.copy(vouchers regclass, campaigns regclass, documents integer, dirty boolean DEFAULT false) RETURNS void LANGUAGE sql AS $$
    SELECT source.write(vouchers, n, source.voucher(n, dirty)) FROM generate_series(1, documents) n;
    SELECT source.write(campaigns, n, source.campaign(n, (SELECT count(*) FROM generate_series(1, documents) v WHERE v % 4 = n AND v % 10 > 0)))
    FROM generate_series(0, 3) n;
    SELECT NULL::void;
$$;

-- Until another session has come so far.
CREATE FUNCTION source.await(condition text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    yes boolean;
BEGIN
    FOR i IN 1 .. 200 LOOP
        EXECUTE 'SELECT ' || condition INTO yes;
        EXIT WHEN yes;
        PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
    END LOOP;
    ASSERT yes, condition;
END $$;
