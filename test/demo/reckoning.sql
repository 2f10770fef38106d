-- Where everything is in the end. Each row is looked for by its key, so that what is on another row than it should be is lost.
CREATE VIEW mongo.told AS
SELECT id, count(*) FILTER (WHERE what = 'redeemed') AS redeemed, count(*) FILTER (WHERE what = 'issued') AS issued FROM mongo.acknowledged GROUP BY id;

-- Once in the parent itself, with every value that the document means, and with what the application did since.
CREATE VIEW mongo.found AS
SELECT b.project, b.id, (
    SELECT count(*) FROM ONLY public.vouchers p WHERE (p.tenant_id, p.project_id, p.id) = ('acme', b.project, b.id)
    AND (p.code, p.deleted, p.created_at) = (b.code, b.deleted, date_trunc('second', b.created_at))
    AND (p.campaign_id, p.discount, p.deleted_at)
        IS NOT DISTINCT FROM (b.campaign_id, b.discount, CASE WHEN b.deleted THEN date_trunc('milliseconds', b.updated_at) END)
    AND p.publish = jsonb_build_object('object', 'list', 'count', b.published, 'entries', mongo.entries(b.published, NULL)::jsonb)
    AND (p.updated_at = date_trunc('milliseconds', b.updated_at) OR p.updated_at > b.updated_at AND (t.redeemed > 0 OR b.dirt IS NOT NULL))
    AND p.redeemed = b.redeemed + CASE WHEN b.project = 'summer' THEN coalesce(t.redeemed, 0) ELSE 0 END
) AS times
FROM mongo.before_vouchers b LEFT JOIN mongo.told t ON b.project = 'summer' AND t.id = b.id;

CREATE VIEW public.reckoning AS
WITH redeemed AS (
    SELECT t.redeemed AS told, coalesce(p.redeemed - coalesce(b.redeemed, 0), 0) AS found
    FROM mongo.told t LEFT JOIN mongo.before_vouchers b ON (b.project, b.id) = ('summer', t.id)
    LEFT JOIN ONLY public.vouchers p ON (p.tenant_id, p.project_id, p.id) = ('acme', 'summer', t.id)
), issued AS (
    SELECT t.issued AS told, (SELECT count(*) FROM ONLY public.vouchers p WHERE (p.tenant_id, p.project_id, p.id) = ('acme', 'summer', t.id)) AS found
    FROM mongo.told t WHERE t.issued > 0
)
SELECT what, there_were, found, lost FROM (
    SELECT 1 AS n, 'documents: vouchers of ' || project AS what, count(*) AS there_were, count(*) FILTER (WHERE times = 1) AS found, count(*) FILTER (WHERE times <> 1) AS lost
    FROM mongo.found GROUP BY project
    UNION ALL
    SELECT 2, 'documents: campaigns', count(*), count(p.id), count(*) - count(p.id)
    FROM mongo.campaigns m LEFT JOIN ONLY public.campaigns p ON (p.tenant_id, p.project_id, p.id) = ('acme', m.project, m.id)
        AND (p.name, p.vouchers_count, p.updated_at, p.campaign_type) = (m.name, m.vouchers_count, m.updated_at, 'DISCOUNT_COUPONS')
    UNION ALL
    SELECT 3, 'writes: redeemed, acknowledged', sum(told), sum(found), sum(abs(told - found)) FROM redeemed
    UNION ALL
    SELECT 4, 'writes: issued, acknowledged', sum(told), sum(found), sum(abs(told - found)) FROM issued
    UNION ALL
    SELECT 5, 'rows of globex, as they were', count(*), count(p), count(*) - count(p)
    FROM mongo.before b LEFT JOIN ONLY public.vouchers p ON p IS NOT DISTINCT FROM ROW(b.*)::public.vouchers
        AND (p.tenant_id, p.project_id, p.id) = (b.tenant_id, b.project_id, b.id)
) r ORDER BY n, what;

-- What must not be there: rows that nobody sent or wrote, rows outside the parent, children, open cases.
CREATE VIEW public.left_over AS
SELECT (SELECT count(*) FROM ONLY public.vouchers) - (SELECT count(*) FROM mongo.before_vouchers) - (SELECT count(*) FROM mongo.before)
        - (SELECT count(*) FROM mongo.told WHERE issued > 0) AS "rows nobody wrote",
    (SELECT count(*) FROM pg_inherits WHERE inhparent IN ('public.vouchers'::regclass, 'public.campaigns'::regclass)) AS children,
    (SELECT count(*) FROM vm_quarantine WHERE settled_at IS NULL) AS quarantine,
    (SELECT count(*) FROM vm_anomaly WHERE resolved_at IS NULL) AS anomalies;
