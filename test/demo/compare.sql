-- Documents against rows, by means of SQL alone: what the extension converted is not judged by what it converts with.
CREATE SCHEMA demo;
CREATE TABLE public.documents (_doc text);

CREATE FUNCTION demo.document(doc text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE WHEN jsonb_typeof(doc::jsonb) = 'object' THEN doc::jsonb END;
EXCEPTION WHEN OTHERS THEN
    RETURN NULL;
END $$;

-- The instant of {"$date": …}, of ISO text or of milliseconds.
CREATE FUNCTION demo.instant(v jsonb) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE SET timezone = 'UTC' AS $$
DECLARE
    t text := coalesce(v #>> '{$date,$numberLong}', v ->> '$date', v #>> '{}');
BEGIN
    IF t ~ '^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$' THEN
        RETURN timestamptz 'epoch' + (t::numeric * 1000)::bigint * interval '1 microsecond';
    END IF;
    RETURN t::timestamptz;
END $$;

-- A value without its wrappers.
CREATE FUNCTION demo.plain(v jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE SET timezone = 'UTC' AS $$
DECLARE
    keys text[];
    inner_value jsonb;
    bytes bytea;
    kind text;
    t timestamptz;
BEGIN
    IF jsonb_typeof(v) NOT IN ('object', 'array') OR strpos(v::text, '"$') = 0 THEN
        RETURN v;
    ELSIF jsonb_typeof(v) = 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(demo.plain(e) ORDER BY n), '[]') FROM jsonb_array_elements(v) WITH ORDINALITY x (e, n));
    END IF;
    keys := ARRAY(SELECT k FROM jsonb_object_keys(v) k ORDER BY k COLLATE "C");
    inner_value := v -> keys[1];
    IF keys = '{$oid}' OR keys = '{$symbol}' OR keys = '{$code}' OR keys = '{$uuid}' THEN
        RETURN inner_value;
    ELSIF keys = '{$numberInt}' OR keys = '{$numberLong}' OR keys = '{$numberDouble}' OR keys = '{$numberDecimal}' THEN
        RETURN CASE WHEN (inner_value #>> '{}') ~ '[Nn]' THEN inner_value ELSE to_jsonb((inner_value #>> '{}')::numeric) END;
    ELSIF keys = '{$undefined}' THEN
        RETURN 'null';
    ELSIF keys = '{$date}' THEN
        t := demo.instant(v);
        RETURN CASE WHEN t IS NULL THEN 'null'
            WHEN t < '0001-01-01' OR t >= '10000-01-01' THEN v
            ELSE to_jsonb(to_char(t, CASE WHEN extract(microseconds FROM t)::bigint % 1000 = 0 THEN 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'
                                          ELSE 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"' END)) END;
    ELSIF keys = '{$binary}' OR keys = '{$binary,$type}' THEN
        bytes := decode(coalesce(inner_value ->> 'base64', inner_value #>> '{}'), 'base64');
        kind := ltrim(coalesce(inner_value ->> 'subType', v ->> '$type'), '0');
        RETURN CASE WHEN kind IN ('3', '4') AND length(bytes) = 16 THEN to_jsonb(encode(bytes, 'hex')::uuid)
            ELSE to_jsonb(coalesce(inner_value ->> 'base64', inner_value #>> '{}')) END;
    ELSIF keys[1] LIKE '$%' AND keys <@ '{$timestamp,$minKey,$maxKey,$regularExpression,$regex,$options,$code,$scope,$dbPointer,$ref,$id,$db}' THEN
        RETURN v;
    END IF;
    RETURN (SELECT jsonb_object_agg(k, demo.plain(e)) FROM jsonb_each(v) x (k, e));
END $$;

-- Whether a column's value, as JSON, is what the document says.
CREATE FUNCTION demo.same(have jsonb, sent jsonb, type text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE SET timezone = 'UTC' AS $$
DECLARE
    v jsonb := demo.plain(sent);
    a text := have #>> '{}';
    b text := v #>> '{}';
BEGIN
    IF have IS NULL OR have = 'null' OR v = 'null' THEN
        RETURN coalesce(have, 'null') = v;
    ELSIF type LIKE '%[]' THEN
        RETURN jsonb_typeof(have) = 'array' AND jsonb_typeof(sent) = 'array'
            AND jsonb_array_length(have) = jsonb_array_length(sent)
            AND NOT EXISTS (SELECT FROM generate_series(0, jsonb_array_length(sent) - 1) i
                            WHERE NOT demo.same(have -> i, sent -> i, left(type, -2)));
    END IF;
    RETURN CASE
        WHEN type IN ('jsonb', 'json', 'boolean') THEN have = v
        WHEN type LIKE 'timestamp%' THEN a::timestamptz = demo.instant(sent)
        WHEN type IN ('smallint', 'integer', 'bigint', 'real', 'double precision') OR type LIKE 'numeric%' THEN a::numeric = b::numeric
        WHEN type = 'uuid' THEN a::uuid = b::uuid
        WHEN type = 'bytea' THEN a::bytea = decode(b, 'base64')
        WHEN sent ? '$regularExpression' THEN
            a = format('/%s/%s', sent #>> '{$regularExpression,pattern}', sent #>> '{$regularExpression,options}')
        ELSE a = b END;
EXCEPTION WHEN OTHERS THEN
    RETURN false;
END $$;

-- What the rows are known by, taken from the child before they are moved.
CREATE TABLE demo.keys (doc text, key jsonb);
CREATE FUNCTION demo.key_of(parent regclass) RETURNS text LANGUAGE sql AS $$
    SELECT 'jsonb_build_array(' || string_agg(format('t.%I', attname), ', ' ORDER BY attnum) || ')'
    FROM pg_index JOIN pg_attribute a ON attrelid = indrelid AND attnum = ANY (indkey) WHERE indrelid = parent AND indisprimary
$$;
CREATE FUNCTION demo.remember(parent regclass, child regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO demo.keys SELECT md5(_doc), %s FROM ONLY %s t WHERE _doc IS NOT NULL',
        coalesce(demo.key_of(parent), 'jsonb_build_array(md5(_doc))'), child);
END $$;

-- Every document, and the row it became: in the parent, or in the child if nothing could be moved.
CREATE TABLE demo.landed (n bigint, document jsonb, place text, "row" jsonb, reason text);
CREATE FUNCTION demo.look(parent regclass, child regclass) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    CREATE TABLE demo.rows (key jsonb, place text, "row" jsonb);
    IF demo.key_of(parent) IS NOT NULL THEN
        EXECUTE format('INSERT INTO demo.rows SELECT %s, ''parent'', to_jsonb(t.*) FROM ONLY %s t', demo.key_of(parent), parent);
    END IF;
    EXECUTE format('INSERT INTO demo.rows SELECT %s, ''child'', to_jsonb(t.*) - ''_doc'' FROM ONLY %s t',
        coalesce(demo.key_of(parent), 'jsonb_build_array(md5(_doc))'), child);
    ANALYZE demo.rows, demo.keys;
    INSERT INTO demo.landed
    SELECT d.n, demo.document(d._doc), coalesce(r.place, CASE WHEN q.message IS NOT NULL THEN 'quarantine' ELSE 'lost' END),
        r.row, CASE WHEN r.place IS NULL THEN coalesce('quarantined: ' || q.message, 'lost') END
    FROM (SELECT row_number() OVER () AS n, md5(_doc) AS doc, _doc FROM public.documents) d
    LEFT JOIN (SELECT DISTINCT ON (doc) * FROM demo.keys) k USING (doc)
    LEFT JOIN (SELECT DISTINCT ON (key) * FROM demo.rows) r USING (key)
    LEFT JOIN (SELECT DISTINCT ON (md5(_doc)) md5(_doc) AS doc, message FROM public.vm_quarantine
               WHERE vm_quarantine.child = look.child AND settled_at IS NULL) q USING (doc);
END $$;

-- Every root field of every document, and whether its column has it.
CREATE TABLE demo.fields (n bigint, field text, column_name text, type text, sent jsonb, found jsonb, arrived boolean, reason text);
CREATE FUNCTION demo.compare(mapping text, child regclass) RETURNS void LANGUAGE sql AS $$
    WITH columns AS (
        SELECT e.column_name, format_type(a.atttypid, a.atttypmod) AS type, e.source, a.attnum
        FROM public.vm_explain_mapping(mapping, child) e JOIN pg_attribute a ON a.attrelid = child AND a.attname = e.column_name
        WHERE e.source IS NOT NULL
    ), sent AS (
        SELECT l.n, f.key AS field, f.value AS sent, l.row, l.reason FROM demo.landed l, jsonb_each(l.document) f
    ), taken AS (
        SELECT DISTINCT ON (field) field, column_name, type, source = '(all other fields)' AS rest
        FROM (SELECT DISTINCT field, regexp_replace(field, '([.\\])', '\\\1', 'g') AS path FROM sent) f
        JOIN columns c ON c.source IN (path, '(all other fields)') OR strpos(', ' || c.source || ', ', ', ' || path || ', ') > 0
        ORDER BY field, source = '(all other fields)', source <> path
    ), both_sides AS (
        SELECT s.n, s.field, t.column_name, t.type, s.sent, s.reason,
            CASE WHEN t.rest THEN s.row -> t.column_name -> s.field ELSE s.row -> t.column_name END AS found
        FROM sent s LEFT JOIN taken t USING (field)
    )
    INSERT INTO demo.fields
    SELECT n, field, column_name, type, sent, found, reason IS NULL AND column_name IS NOT NULL AND demo.same(found, sent, type),
        coalesce(reason, CASE WHEN column_name IS NULL THEN 'no column takes it' ELSE 'differs' END)
    FROM both_sides;
$$;

CREATE VIEW public.documents_accounted AS
SELECT count(*) AS documents, count(*) FILTER (WHERE place = 'parent') AS "= in the parent",
    count(*) FILTER (WHERE place = 'child') AS "+ in the child", count(*) FILTER (WHERE place = 'quarantine') AS "+ in quarantine",
    count(*) FILTER (WHERE place = 'lost') AS lost
FROM demo.landed;
CREATE VIEW public.fields_accounted AS
SELECT field, column_name, replace(type, 'timestamp with time zone', 'timestamptz') AS type, count(*) AS documents, count(*) FILTER (WHERE arrived) AS "= arrived",
    count(*) FILTER (WHERE NOT arrived AND reason LIKE 'quarantined%') AS "+ quarantined",
    count(*) FILTER (WHERE NOT arrived AND reason NOT LIKE 'quarantined%') AS differs
FROM demo.fields GROUP BY field, column_name, type ORDER BY min(n), field;
