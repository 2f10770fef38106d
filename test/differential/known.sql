-- Both sides against the documents with a known outcome. Zone by zone: the outcome must not depend on it.
-- One line for each that is not as it should be: side, number, what came out.
CREATE FUNCTION public.check_known(target regclass) RETURNS TABLE (n integer, got text) LANGUAGE plpgsql AS $$
DECLARE
    k public.known;
    was text := current_setting('TimeZone');
    actual jsonb;
    wanted jsonb;
    state text;
BEGIN
    FOR k IN SELECT * FROM public.known ORDER BY known.n LOOP
        PERFORM set_config('TimeZone', k.zone, false);
        BEGIN
            EXECUTE format('INSERT INTO %s AS t (seq, _doc) VALUES ($1, $2) RETURNING to_jsonb(t)', target)
                INTO actual USING -k.n, k.body;
            state := NULL;
        EXCEPTION WHEN OTHERS THEN
            state := SQLSTATE;
        END;
        n := k.n;
        IF state IS NOT NULL OR jsonb_typeof(k.outcome) = 'string' THEN
            IF state IS DISTINCT FROM k.outcome #>> '{}' THEN
                got := coalesce(state, actual::text);
                RETURN NEXT;
            END IF;
            CONTINUE;
        END IF;
        wanted := to_jsonb(jsonb_populate_record(NULL::ref.docs, k.outcome));
        IF EXISTS (SELECT FROM jsonb_object_keys(k.outcome) c
                   WHERE wanted -> c <> actual -> c OR NOT actual ? c) THEN
            got := actual::text;
            RETURN NEXT;
        END IF;
    END LOOP;
    PERFORM set_config('TimeZone', was, false);
    EXECUTE format('DELETE FROM %s WHERE seq < 0', target);
END $$;
