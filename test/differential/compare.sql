-- Comparisons. Each adds a row to result: what was compared, how many rows or documents, how many differ; and a few
-- of the differences to sample.
CREATE TABLE public.result (test serial, section text, name text, compared bigint, differ bigint);
CREATE TABLE public.sample (test integer, seq bigint, native text, wanted text);

-- $1 is a query with the columns seq, native, wanted (text) and differs.
CREATE FUNCTION public.judge(section text, name text, query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    id integer;
    found_differ bigint;
BEGIN
    INSERT INTO public.result AS r (section, name) VALUES (judge.section, judge.name) RETURNING r.test INTO id;
    EXECUTE format('CREATE TEMP TABLE judged ON COMMIT DROP AS %s', query);
    UPDATE public.result r SET (compared, differ) = (SELECT count(*), count(*) FILTER (WHERE differs) FROM judged)
        WHERE r.test = id RETURNING r.differ INTO found_differ;
    INSERT INTO public.sample
        SELECT id, j.seq, left(j.native, 300), left(j.wanted, 300) FROM judged j WHERE differs ORDER BY j.seq LIMIT 3;
    DROP TABLE judged;
    RETURN found_differ;
END $$;

-- Every column of two tables of the same shape, by text and by the bytes the server stores.
CREATE FUNCTION public.compare_columns(section text, native regclass, wanted regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    c name;
BEGIN
    FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = wanted AND attnum > 3 AND NOT attisdropped ORDER BY attnum
    LOOP
        PERFORM public.judge(section, c, format(
            'SELECT w.seq, n.%1$I::text AS native, w.%1$I::text AS wanted,
                    n.%1$I::text IS DISTINCT FROM w.%1$I::text OR NOT record_image_eq(ROW(n.%1$I), ROW(w.%1$I)) AS differs
             FROM %3$s w JOIN %2$s n USING (seq)', c, native, wanted));
    END LOOP;
END $$;

-- Taken or refused, and with which SQLSTATE. The state of a root that is no object is left open.
CREATE FUNCTION public.compare_verdicts(section text, native text, wanted text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    q text := format(
        'SELECT seq, coalesce(n.state || '' '' || n.message, ''taken'') AS native,
                coalesce(w.state || '' '' || w.message, ''taken'') AS wanted, n.state AS n_state, w.state AS w_state
         FROM (SELECT * FROM public.verdict WHERE side = %L) n
         JOIN (SELECT * FROM public.verdict WHERE side = %L AND message IS DISTINCT FROM ''not an object'') w USING (seq)',
        native, wanted);
BEGIN
    PERFORM public.judge(section, 'verdict',
        format('SELECT *, (n_state IS NULL) <> (w_state IS NULL) AS differs FROM (%s) x', q));
    PERFORM public.judge(section, 'SQLSTATE',
        format('SELECT *, n_state <> w_state AS differs FROM (%s) x WHERE n_state IS NOT NULL AND w_state IS NOT NULL', q));
    IF EXISTS (SELECT FROM public.verdict WHERE side = wanted AND message = 'not an object') THEN
        PERFORM public.judge(section, 'root is no object', format(
            'SELECT n.seq, coalesce(n.state, ''taken'') AS native, ''refused'' AS wanted, n.state IS NULL AS differs
             FROM public.verdict n JOIN public.verdict w USING (seq)
             WHERE n.side = %L AND w.side = %L AND w.message = ''not an object''', native, wanted));
    END IF;
END $$;

-- The comparison itself: copies of the reference's rows with one thing changed in each must be found, and only that.
-- Returns how many of the changes were not.
CREATE FUNCTION public.self_check() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    change text;
    missed bigint := 0;
    last_test integer := coalesce((SELECT max(test) FROM public.result), 0);
    found bigint;
BEGIN
    FOREACH change IN ARRAY ARRAY[
        'code = ''altered''',
        'discount = ''{"altered": 1}''',
        'price = 7.00 WHERE price = 7.0',  -- equal, but not the same bytes
        'updated_at = updated_at + interval ''1 microsecond''',
        'tags = array_append(tags, ''altered'')',
        'active = NOT active',
        'owner = NULL',
        'normalized = ''{"n": 1.0}'' WHERE normalized = ''{"n": 1.00}'''
    ] LOOP
        CREATE TEMP TABLE altered ON COMMIT DROP AS SELECT * FROM ref.docs WHERE seq <= 500;
        CREATE TEMP TABLE same ON COMMIT DROP AS SELECT * FROM altered;
        UPDATE same SET price = 7.0, normalized = '{"n": 1.00}', updated_at = '2020-01-01', tags = '{}', active = true,
                        owner = '00000000-0000-0000-0000-000000000000'
            WHERE seq = (SELECT min(seq) FROM same);
        TRUNCATE altered;
        INSERT INTO altered SELECT * FROM same;
        EXECUTE format('UPDATE altered SET %s', CASE WHEN change LIKE '% WHERE %'
            THEN change || ' AND' ELSE change || ' WHERE' END || ' seq = (SELECT min(seq) FROM altered)');
        PERFORM public.compare_columns('self', 'altered', 'same');
        SELECT count(*) FILTER (WHERE name = split_part(change, ' ', 1) AND differ = 1) * 2 - sum(differ)
            INTO found FROM public.result WHERE test > last_test;
        IF found <> 1 THEN
            missed := missed + 1;
        END IF;
        DELETE FROM public.sample WHERE test > last_test;
        DELETE FROM public.result WHERE test > last_test;
        DROP TABLE altered, same;
    END LOOP;
    RETURN missed;
END $$;
