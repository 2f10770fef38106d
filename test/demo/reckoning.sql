-- Where every document is, found by its key or _id; and every write the application was told of.
CREATE VIEW mongo.found AS
SELECT 'vouchers' AS collection, m._id,
    (SELECT count(*) FROM ONLY public.vouchers p WHERE (p.tenant_id, p.project_id, p.id) = ('acme', 'winter', m.id)) AS parent,
    (SELECT count(*) FROM public.vouchers_acme_winter c WHERE c._id = m._id) AS child,
    (SELECT count(*) FROM vm_quarantine q WHERE q.child = 'public.vouchers_acme_winter'::regclass AND q._id = m._id AND q.settled_at IS NULL) AS quarantine,
    EXISTS (SELECT FROM ONLY public.vouchers p WHERE (p.tenant_id, p.project_id, p.id) = ('acme', 'winter', m.id)
        AND p.code = m.code AND p.campaign_id IS NOT DISTINCT FROM m.campaign_id AND p.discount IS NOT DISTINCT FROM m.discount
        AND p.publish = jsonb_build_object('object', 'list', 'count', m.published, 'entries', '[]'::jsonb)
        AND p.redeemed = m.redeemed AND p.deleted = m.deleted AND p.validity_day_of_week IS NOT DISTINCT FROM m.days
        AND p.created_at = m.created_at AND p.updated_at = m.updated_at
        AND p.deleted_at IS NOT DISTINCT FROM CASE WHEN m.deleted THEN m.updated_at END) AS as_sent,
    EXISTS (SELECT FROM mongo.acknowledged a WHERE a.what = 'redeemed' AND a.id = m.id) AS redeemed_here,
    EXISTS (SELECT FROM vm_anomaly a WHERE a.kind = 'move_conflict' AND a.child = 'public.vouchers_acme_winter'::regclass AND a._id = m._id) AS outdated
FROM mongo.vouchers m
UNION ALL
SELECT 'campaigns', m._id,
    (SELECT count(*) FROM ONLY public.campaigns p WHERE (p.tenant_id, p.project_id, p.id) = ('acme', 'winter', m.id)),
    (SELECT count(*) FROM public.campaigns_acme_winter c WHERE c._id = m._id),
    (SELECT count(*) FROM vm_quarantine q WHERE q.child = 'public.campaigns_acme_winter'::regclass AND q._id = m._id AND q.settled_at IS NULL),
    EXISTS (SELECT FROM ONLY public.campaigns p WHERE (p.tenant_id, p.project_id, p.id) = ('acme', 'winter', m.id)
        AND (p.name, p.vouchers_count, p.updated_at) = (m.name, m.vouchers_count, m.updated_at)),
    false,
    EXISTS (SELECT FROM vm_anomaly a WHERE a.kind = 'move_conflict' AND a.child = 'public.campaigns_acme_winter'::regclass AND a._id = m._id)
FROM mongo.campaigns m;

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
