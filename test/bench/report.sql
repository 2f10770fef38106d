-- The table: one line for each thing that was measured.
WITH goals (nr, what, label, unit, goal) AS (VALUES
    (1, 'trigger', 'Trigger alone, INSERT', 'µs/row', 9.0),
    (2, 'update', 'Trigger alone, UPDATE with an unchanged document', 'µs/row', 20),
    (3, 'copy unlogged', 'COPY, unlogged child without indexes', 'µs/row', 3),
    (4, 'copy logged', 'COPY, logged child with the parent''s indexes', 'µs/row', 2),
    (5, 'hex', '`hex_to_bigint`', 'ns/call', 40),
    (6, 'array', '`json_arr2int_arr`', 'ns/call', 30)
), pairs AS (
    SELECT a.what, a.value AS article, n.value AS native, a.value / nullif(n.value, 0) AS ratio
    FROM bench.measured a JOIN bench.measured n USING (what, round)
    WHERE a.variant = 'article' AND n.variant = 'native'
), medians AS (
    SELECT what, percentile_cont(0.5) WITHIN GROUP (ORDER BY article) AS article,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY native) AS native,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY ratio) AS ratio
    FROM pairs GROUP BY what
), lines AS (
    SELECT nr, format('| %s | %s %s | %s %s | **%s×** | %s |', label,
        round(article::numeric, CASE WHEN article < 100 THEN 2 ELSE 0 END), unit,
        round(native::numeric, CASE WHEN native < 100 THEN 2 ELSE 0 END), unit, round(ratio::numeric, 1),
        '≥ ' || trim_scale(goal) || '×' || CASE WHEN ratio < goal THEN ', missed' ELSE '' END)
    FROM goals JOIN medians USING (what)
    UNION ALL
    SELECT 8, format('| Memory of a backend: after 100,000 rows, a million more | | %s MB, %s MB | | flat%s |',
        round(b.value::numeric / 1024, 1), round(e.value::numeric / 1024, 1),
        CASE WHEN e.value > b.value + 2048 THEN ', missed' ELSE '' END)
    FROM bench.measured b JOIN bench.measured e USING (what, variant) WHERE what = 'memory' AND b.round = 0 AND e.round = 1
)
SELECT line FROM (
    SELECT -1, '| | plpgsql | voucher_migrate | ratio | goal |'
    UNION ALL SELECT 0, '|---|---|---|---|---|'
    UNION ALL SELECT * FROM lines
) x(nr, line) ORDER BY nr;
