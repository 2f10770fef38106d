-- Where every document is, found by its key or _id; and every write the application was told of.
CREATE VIEW mongo.found AS
WITH open AS (
    SELECT child::text, _id, count(*) AS n FROM vm_quarantine WHERE settled_at IS NULL GROUP BY child, _id
), outdated AS (
    SELECT DISTINCT child::text, _id FROM vm_anomaly WHERE kind = 'move_conflict'
), redeemed AS (
    SELECT DISTINCT id FROM mongo.acknowledged WHERE what = 'redeemed'
)
SELECT 'vouchers' AS collection, m._id, (p.id IS NOT NULL)::integer AS parent, (c._id IS NOT NULL)::integer AS child,
    coalesce(q.n, 0) AS quarantine, r.id IS NOT NULL AS redeemed_here, o._id IS NOT NULL AS outdated,
    coalesce(
        (p.code, p.redeemed, p.deleted, p.created_at, p.updated_at) = (m.code, m.redeemed, m.deleted, m.created_at, m.updated_at)
        AND p.publish = jsonb_build_object('object', 'list', 'count', m.published, 'entries', '[]'::jsonb)
        AND (p.campaign_id, p.discount, p.validity_day_of_week, p.deleted_at)
            IS NOT DISTINCT FROM (m.campaign_id, m.discount, m.days, CASE WHEN m.deleted THEN m.updated_at END), false) AS as_sent
FROM mongo.vouchers m
LEFT JOIN ONLY public.vouchers p ON (p.tenant_id, p.project_id, p.id) = ('acme', 'winter', m.id)
LEFT JOIN public.vouchers_acme_winter c ON c._id = m._id
LEFT JOIN open q ON (q.child, q._id) = ('vouchers_acme_winter', m._id)
LEFT JOIN outdated o ON (o.child, o._id) = ('vouchers_acme_winter', m._id)
LEFT JOIN redeemed r ON r.id = m.id
UNION ALL
SELECT 'campaigns', m._id, (p.id IS NOT NULL)::integer, (c._id IS NOT NULL)::integer, coalesce(q.n, 0), false, o._id IS NOT NULL,
    coalesce((p.name, p.campaign_type, p.vouchers_count, p.updated_at)
        = (m.name, 'DISCOUNT_COUPONS', m.vouchers_count, m.updated_at), false)
FROM mongo.campaigns m
LEFT JOIN ONLY public.campaigns p ON (p.tenant_id, p.project_id, p.id) = ('acme', 'winter', m.id)
LEFT JOIN public.campaigns_acme_winter c ON c._id = m._id
LEFT JOIN open q ON (q.child, q._id) = ('campaigns_acme_winter', m._id)
LEFT JOIN outdated o ON (o.child, o._id) = ('campaigns_acme_winter', m._id);

CREATE VIEW public.documents_accounted AS
SELECT collection, documents, as_sent AS "= as sent", redeemed AS "+ redeemed here", newer AS "+ newer kept", child AS "+ in child",
    quarantined AS "+ quarantined", documents - as_sent - redeemed - newer - child - quarantined AS lost
FROM (
    SELECT collection, count(*) AS documents,
        count(*) FILTER (WHERE one AND parent = 1 AND as_sent) AS as_sent,
        count(*) FILTER (WHERE one AND parent = 1 AND NOT as_sent AND redeemed_here) AS redeemed,
        count(*) FILTER (WHERE one AND parent = 1 AND NOT as_sent AND NOT redeemed_here AND outdated) AS newer,
        count(*) FILTER (WHERE one AND child = 1) AS child,
        count(*) FILTER (WHERE one AND quarantine = 1) AS quarantined
    FROM (SELECT *, parent + child + quarantine = 1 AS one FROM mongo.found) f
    GROUP BY collection
) s ORDER BY collection DESC;

-- Row by row: a write that is on another row than it should be counts as lost.
CREATE VIEW public.writes_accounted AS
WITH told AS (
    SELECT what, id, count(*) AS n FROM mongo.acknowledged GROUP BY what, id
), found AS (
    SELECT 'redeemed' AS what, v.id, v.redeemed - m.redeemed AS n FROM public.vouchers v JOIN mongo.vouchers m ON m.id = v.id
    WHERE (v.tenant_id, v.project_id) = ('acme', 'winter') AND v.redeemed <> m.redeemed
    UNION ALL
    SELECT 'created', id, count(*) FROM public.vouchers WHERE id LIKE 'v\_new%' GROUP BY id
    UNION ALL
    SELECT 'redeemed, other project', id, redeemed FROM public.vouchers WHERE tenant_id = 'globex' AND redeemed <> 0
)
SELECT what AS "write", coalesce(sum(t.n), 0)::bigint AS acknowledged, coalesce(sum(f.n), 0)::bigint AS found,
    coalesce(sum(abs(coalesce(t.n, 0) - coalesce(f.n, 0))), 0)::bigint AS lost
FROM told t FULL JOIN found f USING (what, id) GROUP BY what ORDER BY what;

CREATE VIEW public.rows_accounted AS
SELECT *, "rows in vouchers" - "of documents" - "created here" - "other project" AS unexplained
FROM (SELECT
    (SELECT count(*) FROM ONLY public.vouchers) AS "rows in vouchers",
    (SELECT count(*) FROM mongo.found WHERE collection = 'vouchers' AND parent = 1) AS "of documents",
    (SELECT count(DISTINCT id) FROM mongo.acknowledged WHERE what = 'created') AS "created here",
    (SELECT count(*) FROM mongo.before WHERE tenant_id = 'globex') AS "other project") r;
