-- The twins: ref.docs is filled by the reference, nat.docs by the extension. Same columns.
CREATE SCHEMA nat;

CREATE UNLOGGED TABLE ref.docs (
    seq                  bigint,
    _id                  text,
    _doc                 text,
    tenant_id            text,
    project_id           text,
    id                   text,
    code                 text,
    deleted              boolean,
    discount             jsonb,
    publish              jsonb,
    validity_day_of_week integer[],
    created_at           timestamptz,
    updated_at           timestamptz,
    deleted_at           timestamptz,
    redeemed             bigint,
    quantity             integer,
    ratio                double precision,
    price                numeric,
    active               boolean,
    starts_on            date,
    local_time           timestamp,
    owner                uuid,
    payload              bytea,
    tags                 text[],
    amounts              numeric[],
    metadata             jsonb,
    normalized           jsonb
);
CREATE UNLOGGED TABLE nat.docs (LIKE ref.docs);

-- The same under another session's TimeZone and DateStyle.
CREATE UNLOGGED TABLE nat.docs_abroad (LIKE ref.docs);

-- One value of any kind as jsonb: the server's jsonb_in against the extension's reader and writer.
CREATE UNLOGGED TABLE nat.anything (seq bigint, _doc text, v jsonb);

-- The documents, and what became of each: state is its SQLSTATE, NULL if it was taken.
CREATE UNLOGGED TABLE public.doc (seq bigint, body text);
CREATE UNLOGGED TABLE public.verdict (side text, seq bigint, state text, message text);

-- Documents with a known outcome: columns and their values, or the SQLSTATE.
CREATE UNLOGGED TABLE public.known (n integer, zone text, body text, outcome jsonb);

CREATE TRIGGER transform BEFORE INSERT OR UPDATE OF _doc ON ref.docs
    FOR EACH ROW EXECUTE FUNCTION ref.transform('TENANT', 'PROJECT');

-- Puts documents one by one into a table, <before>body<after> each, and notes the verdict.
CREATE FUNCTION public.feed(target regclass, side text, first bigint, last bigint,
                            before text DEFAULT '', after text DEFAULT '') RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    r record;
    refused bigint := 0;
    command text := format('INSERT INTO %s (seq, _doc) VALUES ($1, $2)', target);
    state text;
    message text;
BEGIN
    FOR r IN SELECT seq, body FROM public.doc WHERE seq BETWEEN first AND last ORDER BY seq LOOP
        state := NULL;
        message := NULL;
        BEGIN
            EXECUTE command USING r.seq, before || r.body || after;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            refused := refused + 1;
        END;
        INSERT INTO public.verdict VALUES (side, r.seq, state, message);
    END LOOP;
    RETURN refused;
END $$;

-- The same for jsonb_in alone.
CREATE FUNCTION public.feed_server(side text, first bigint, last bigint, before text, after text)
RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    r record;
    refused bigint := 0;
    state text;
    message text;
BEGIN
    FOR r IN SELECT seq, body FROM public.doc WHERE seq BETWEEN first AND last ORDER BY seq LOOP
        state := NULL;
        message := NULL;
        BEGIN
            PERFORM (before || r.body || after)::jsonb;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
            refused := refused + 1;
        END;
        INSERT INTO public.verdict VALUES (side, r.seq, state, message);
    END LOOP;
    RETURN refused;
END $$;
