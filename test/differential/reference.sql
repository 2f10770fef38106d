-- What the native trigger is to do, said again in plpgsql: slow, plain, and built on the server's own input
-- functions, so that an error of the engine is not likely to be repeated here. Functions take one JSON value; SQL
-- NULL is a field that the document does not have.
CREATE SCHEMA ref;

CREATE FUNCTION ref.fail(state text, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', what USING ERRCODE = state;
END $$;

-- Wrappers ----------------------------------------------------------------------------------------------

CREATE FUNCTION ref.keys(v jsonb) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(k ORDER BY k COLLATE "C") FROM jsonb_object_keys(v) k
$$;

CREATE FUNCTION ref.has_keys(v jsonb, wanted text[]) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN jsonb_typeof(v) = 'object' AND ref.keys(v) = wanted;
END $$;

-- Which wrapper an object is, by its keys alone; NULL for any other value.
CREATE FUNCTION ref.shape(v jsonb) RETURNS text LANGUAGE plpgsql STRICT AS $$
DECLARE
    keys text[];
BEGIN
    IF jsonb_typeof(v) <> 'object' OR v = '{}' THEN
        RETURN NULL;
    END IF;
    keys := ref.keys(v);
    RETURN CASE
        WHEN keys = '{$oid}' THEN 'oid'
        WHEN keys = '{$date}' THEN 'date'
        WHEN keys IN ('{$numberInt}', '{$numberLong}', '{$numberDouble}', '{$numberDecimal}') THEN 'number'
        WHEN keys = '{$binary}' AND ref.has_keys(v -> '$binary', '{base64,subType}') THEN 'binary'
        WHEN keys = '{$binary,$type}' THEN 'binary'
        WHEN keys = '{$uuid}' THEN 'uuid'
        WHEN keys = '{$regularExpression}' AND ref.has_keys(v -> '$regularExpression', '{options,pattern}')
            THEN 'regex'
        WHEN keys = '{$options,$regex}' THEN 'regex'
        WHEN keys = '{$timestamp}' AND ref.has_keys(v -> '$timestamp', '{i,t}') THEN 'timestamp'
        WHEN keys = '{$undefined}' THEN 'undefined'
        WHEN keys = '{$minKey}' THEN 'minkey'
        WHEN keys = '{$maxKey}' THEN 'maxkey'
        WHEN keys IN ('{$symbol}', '{$code}') THEN 'string'
        WHEN keys IN ('{$code,$scope}', '{$dbPointer}', '{$id,$ref}', '{$db,$id,$ref}') THEN 'kept'
    END;
END $$;

-- The value of a wrapper with one key.
CREATE FUNCTION ref.payload(v jsonb) RETURNS jsonb LANGUAGE sql STRICT AS $$
    SELECT value FROM jsonb_each(v)
$$;

CREATE FUNCTION ref.base64_of(v jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT coalesce(v -> '$binary' ->> 'base64', v ->> '$binary')
$$;

CREATE FUNCTION ref.bytes_of(v jsonb) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
BEGIN
    RETURN decode(ref.base64_of(v), 'base64');
EXCEPTION WHEN invalid_parameter_value THEN
    PERFORM ref.fail('22P02', 'not base64');
END $$;

-- The uuid in a $binary; NULL if there is none.
CREATE FUNCTION ref.binary_uuid(v jsonb) RETURNS uuid LANGUAGE plpgsql STRICT AS $$
BEGIN
    IF ltrim(coalesce(v -> '$binary' ->> 'subType', v ->> '$type'), '0') IN ('3', '4')
        AND length(ref.bytes_of(v)) = 16 THEN
        RETURN encode(ref.bytes_of(v), 'hex')::uuid;
    END IF;
    RETURN NULL;
END $$;

-- Numbers -----------------------------------------------------------------------------------------------

CREATE FUNCTION ref.is_decimal(t text) RETURNS boolean LANGUAGE sql AS $$
    SELECT t ~ '^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$'
$$;

CREATE FUNCTION ref.is_special(t text) RETURNS boolean LANGUAGE sql AS $$
    SELECT t ~* '^(nan|[+-]?(inf|infinity))$'
$$;

-- The text of a number, of a string that should be one, or of what a number wrapper holds. No JSON boolean is
-- a number, and no other wrapper.
CREATE FUNCTION ref.number_text(v jsonb) RETURNS text LANGUAGE plpgsql STRICT AS $$
DECLARE
    shape text := ref.shape(v);
BEGIN
    IF shape = 'undefined' THEN
        RETURN NULL;
    END IF;
    IF shape = 'number' THEN
        v := ref.payload(v);
    END IF;
    IF jsonb_typeof(v) = 'null' THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(v) NOT IN ('number', 'string') THEN
        PERFORM ref.fail('22P02', 'not a number');
    END IF;
    RETURN btrim(v #>> '{}', E' \t\n\v\f\r');
END $$;

CREATE FUNCTION ref.as_numeric(v jsonb, specials boolean DEFAULT true) RETURNS numeric LANGUAGE plpgsql STRICT AS $$
DECLARE
    t text := ref.number_text(v);
BEGIN
    IF NOT (ref.is_decimal(t) OR specials AND ref.is_special(t)) THEN
        PERFORM ref.fail('22P02', 'not a number');
    END IF;
    RETURN t::numeric;
END $$;

CREATE FUNCTION ref.as_float(v jsonb) RETURNS double precision LANGUAGE plpgsql STRICT AS $$
DECLARE
    t text := ref.number_text(v);
BEGIN
    IF NOT (ref.is_decimal(t) OR ref.is_special(t)) THEN
        PERFORM ref.fail('22P02', 'not a number');
    END IF;
    RETURN t::double precision;
END $$;

-- An integer of so many bits. A fraction is an error, or rounded half away from zero.
CREATE FUNCTION ref.as_int(v jsonb, bits integer, rounds boolean DEFAULT false) RETURNS bigint
LANGUAGE plpgsql STRICT AS $$
DECLARE
    n numeric := ref.as_numeric(v, false);
BEGIN
    IF rounds THEN
        n := round(n);
    ELSIF n <> trunc(n) THEN
        PERFORM ref.fail('22P02', 'has a fraction');
    END IF;
    IF n NOT BETWEEN -(2::numeric ^ (bits - 1)) AND 2::numeric ^ (bits - 1) - 1 THEN
        PERFORM ref.fail('22003', 'out of range');
    END IF;
    RETURN n::bigint;
END $$;

-- Times -------------------------------------------------------------------------------------------------

-- Days first and then the rest: each step is exact.
CREATE FUNCTION ref.time_from_ms(ms numeric) RETURNS timestamptz LANGUAGE plpgsql STRICT AS $$
DECLARE
    rest numeric := (ms % 86400000 + 86400000) % 86400000;
BEGIN
    IF ms NOT BETWEEN -210866803200000 AND 9224318015999999 THEN
        PERFORM ref.fail('22008', 'time out of range');
    END IF;
    RETURN (timestamp '1970-01-01' + ((ms - rest) / 86400000)::integer * interval '1 day'
            + rest::double precision * interval '1 millisecond') AT TIME ZONE 'UTC';
END $$;

-- hour, minute, second, digits of the fraction, and offset (Z, GMT, ±hh, ±hhmm, ±hh:mm) on a day, all as text.
CREATE FUNCTION ref.time_from_parts(day date, h text, mi text, s text, f text, zone text)
RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE
    us bigint := rpad(left(coalesce(f, ''), 6), 6, '0')::bigint;
    seconds integer := coalesce(h::integer, 0) * 3600 + coalesce(mi::integer, 0) * 60 + coalesce(s::integer, 0);
    zone_h integer := 0;
    zone_m integer := 0;
BEGIN
    IF length(f) > 6 AND substr(f, 7, 1)::integer >= 5 THEN
        us := us + 1;
    END IF;
    IF mi::integer > 59 OR s::integer > 60 OR h::integer > 24 OR (h = '24' AND (seconds > 86400 OR us > 0)) THEN
        PERFORM ref.fail('22008', 'no such time of day');
    END IF;
    IF zone ~ '^[+-]' THEN
        zone_h := substr(zone, 2, 2)::integer;
        zone_m := coalesce(nullif(ltrim(substr(zone, 4), ':'), '')::integer, 0);
        IF zone_h > 15 OR zone_m > 59 THEN
            PERFORM ref.fail('22008', 'no such offset');
        END IF;
        seconds := seconds - (zone_h * 3600 + zone_m * 60) * CASE left(zone, 1) WHEN '-' THEN -1 ELSE 1 END;
    END IF;
    RETURN (day::timestamp + seconds * interval '1 second' + us * interval '1 microsecond') AT TIME ZONE 'UTC';
END $$;

CREATE FUNCTION ref.time_from_text(t text) RETURNS timestamptz LANGUAGE plpgsql STRICT AS $$
DECLARE
    months constant text := 'JanFebMarAprMayJunJulAugSepOctNovDec';
    m text[];
BEGIN
    IF t ~ E'^[ \t\n\v\f\r]*[+-]?[0-9]+[ \t\n\v\f\r]*$' THEN
        RETURN ref.time_from_ms(btrim(t, E' \t\n\v\f\r')::numeric);
    END IF;
    m := regexp_match(t, '^([0-9]{4,6})-([0-9]{2})-([0-9]{2})'
        '(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.]([0-9]+))?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?$');
    IF m IS NOT NULL THEN
        RETURN ref.time_from_parts(make_date(m[1]::integer, m[2]::integer, m[3]::integer),
                                   m[4], m[5], m[6], m[7], m[8]);
    END IF;
    m := regexp_match(t, '^(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?([0-9]{1,2}) '
        '(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ([0-9]{4}) '
        '([0-9]{2}):([0-9]{2}):([0-9]{2}) (GMT|UTC|[+-][0-9]{4})$');
    IF m IS NOT NULL THEN
        RETURN ref.time_from_parts(make_date(m[3]::integer, (strpos(months, m[2]) + 2) / 3, m[1]::integer),
                                   m[4], m[5], m[6], NULL, m[7]);
    END IF;
    PERFORM ref.fail('22007', 'not a time');
END $$;

CREATE FUNCTION ref.time_from_number(t text) RETURNS timestamptz LANGUAGE plpgsql STRICT AS $$
BEGIN
    IF NOT ref.is_decimal(t) OR t::numeric <> trunc(t::numeric) THEN
        PERFORM ref.fail('22007', 'not a whole number of milliseconds');
    END IF;
    RETURN ref.time_from_ms(t::numeric);
END $$;

-- The moment an ObjectId was made. A value without $oid has none.
CREATE FUNCTION ref.objectid_time(v jsonb) RETURNS timestamptz LANGUAGE plpgsql STRICT AS $$
DECLARE
    hex jsonb := CASE WHEN jsonb_typeof(v) = 'object' THEN v -> '$oid' END;
BEGIN
    IF hex IS NULL OR hex = 'null' THEN
        RETURN NULL;
    END IF;
    IF jsonb_typeof(hex) <> 'string' OR hex #>> '{}' !~ '^[0-9A-Fa-f]{24}$' THEN
        PERFORM ref.fail('22P02', 'not an ObjectId');
    END IF;
    RETURN ref.time_from_ms(('x' || left(hex #>> '{}', 8))::bit(32)::bigint * 1000::numeric);
END $$;

CREATE FUNCTION ref.as_time(v jsonb) RETURNS timestamptz LANGUAGE plpgsql STRICT AS $$
DECLARE
    inner_v jsonb := v;
    shape text := ref.shape(v);
BEGIN
    IF jsonb_typeof(v) = 'object' THEN
        IF v ? '$date' THEN  -- other members are no matter
            inner_v := v -> '$date';
            IF ref.shape(inner_v) = 'number' THEN
                RETURN ref.time_from_number(ref.number_text(inner_v));
            END IF;
        ELSIF shape = 'number' THEN
            RETURN ref.time_from_number(ref.number_text(v));
        ELSIF shape = 'string' THEN
            inner_v := ref.payload(v);
        ELSIF shape = 'oid' THEN
            RETURN ref.objectid_time(v);
        ELSIF shape = 'timestamp' THEN
            RETURN ref.time_from_ms((v -> '$timestamp' ->> 't')::numeric * 1000);
        ELSIF shape IN ('undefined', 'minkey', 'maxkey') THEN
            RETURN CASE shape WHEN 'minkey' THEN '-infinity'::timestamptz WHEN 'maxkey' THEN 'infinity' END;
        END IF;
    END IF;
    CASE jsonb_typeof(inner_v)
        WHEN 'null' THEN RETURN NULL;
        WHEN 'number' THEN RETURN ref.time_from_number(inner_v #>> '{}');
        WHEN 'string' THEN RETURN ref.time_from_text(inner_v #>> '{}');
        ELSE PERFORM ref.fail('22007', 'not a time');
    END CASE;
END $$;

CREATE FUNCTION ref.as_timestamp(v jsonb) RETURNS timestamp LANGUAGE sql STRICT AS $$
    SELECT ref.as_time(v) AT TIME ZONE 'UTC'
$$;

-- ISO text in UTC, milliseconds always, microseconds if there are any; NULL outside the years 1 to 9999.
CREATE FUNCTION ref.iso_text(t timestamptz) RETURNS text LANGUAGE sql STRICT AS $$
    SELECT to_char(u, 'YYYY-MM-DD"T"HH24:MI:SS.') || regexp_replace(to_char(u, 'US'), '000$', '') || 'Z'
    FROM (SELECT t AT TIME ZONE 'UTC') x(u)
    WHERE u >= '0001-01-01' AND u < '10000-01-01'
$$;

-- The other scalars -------------------------------------------------------------------------------------

-- A wrong date is a wrong text in a text column.
CREATE FUNCTION ref.date_text(v jsonb) RETURNS text LANGUAGE plpgsql STRICT AS $$
BEGIN
    RETURN ref.iso_text(ref.as_time(v));
EXCEPTION WHEN data_exception OR invalid_datetime_format OR datetime_field_overflow THEN
    PERFORM ref.fail('22P02', 'not a date');
END $$;

CREATE FUNCTION ref.as_text(v jsonb) RETURNS text LANGUAGE plpgsql STRICT AS $$
DECLARE
    shape text;
BEGIN
    IF jsonb_typeof(v) <> 'object' THEN
        RETURN v #>> '{}';  -- NULL for null
    END IF;
    shape := ref.shape(v);
    CASE
        WHEN shape = 'number' THEN
            RETURN ref.as_numeric(v);
        WHEN shape = 'date' THEN
            RETURN CASE WHEN v -> '$date' <> 'null' THEN coalesce(ref.date_text(v), v::text) END;
        WHEN shape = 'oid' THEN
            PERFORM ref.objectid_time(v);  -- judges it
            RETURN v ->> '$oid';
        WHEN shape IN ('uuid', 'string') THEN
            RETURN ref.payload(v) #>> '{}';
        WHEN shape = 'binary' THEN
            RETURN ref.base64_of(v);
        WHEN shape = 'regex' THEN
            RETURN '/' || coalesce(v -> '$regularExpression' ->> 'pattern', v ->> '$regex')
                || '/' || coalesce(v -> '$regularExpression' ->> 'options', v ->> '$options');
        WHEN shape = 'undefined' THEN
            RETURN NULL;
        WHEN shape IN ('minkey', 'maxkey') THEN
            PERFORM ref.fail('22P02', 'no text');
        ELSE
            RETURN v::text;
    END CASE;
END $$;

CREATE FUNCTION ref.as_boolean(v jsonb) RETURNS boolean LANGUAGE sql STRICT AS $$
    SELECT ref.as_text(v)::boolean
$$;

CREATE FUNCTION ref.as_uuid(v jsonb) RETURNS uuid LANGUAGE plpgsql STRICT AS $$
BEGIN
    IF ref.shape(v) = 'binary' THEN
        IF ref.binary_uuid(v) IS NULL THEN
            PERFORM ref.fail('22P02', 'not a uuid');
        END IF;
        RETURN ref.binary_uuid(v);
    END IF;
    RETURN ref.as_text(v)::uuid;
END $$;

CREATE FUNCTION ref.as_bytea(v jsonb) RETURNS bytea LANGUAGE plpgsql STRICT AS $$
BEGIN
    IF ref.shape(v) = 'binary' THEN
        RETURN ref.bytes_of(v);
    ELSIF jsonb_typeof(v) IN ('number', 'boolean', 'array') OR jsonb_typeof(v) = 'object' AND ref.shape(v) IS NULL THEN
        PERFORM ref.fail('22P02', 'no bytes');
    END IF;
    RETURN ref.as_text(v)::bytea;
END $$;

-- Containers --------------------------------------------------------------------------------------------

-- The elements for an array column; one value is no array of one.
CREATE FUNCTION ref.elements(v jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF jsonb_typeof(v) <> 'array' THEN
        PERFORM ref.fail('22023', 'not an array');
    END IF;
    RETURN QUERY SELECT jsonb_array_elements(v);
END $$;

CREATE FUNCTION ref.as_int_array(v jsonb) RETURNS integer[] LANGUAGE sql STRICT AS $$
    SELECT CASE WHEN ref.shape(v) IS DISTINCT FROM 'undefined'
           THEN ARRAY(SELECT ref.as_int(e, 32, true)::integer FROM ref.elements(v) e) END
$$;

CREATE FUNCTION ref.as_text_array(v jsonb) RETURNS text[] LANGUAGE sql STRICT AS $$
    SELECT CASE WHEN ref.shape(v) IS DISTINCT FROM 'undefined'
           THEN ARRAY(SELECT ref.as_text(e) FROM ref.elements(v) e) END
$$;

CREATE FUNCTION ref.as_numeric_array(v jsonb) RETURNS numeric[] LANGUAGE sql STRICT AS $$
    SELECT CASE WHEN ref.shape(v) IS DISTINCT FROM 'undefined'
           THEN ARRAY(SELECT ref.as_numeric(e) FROM ref.elements(v) e) END
$$;

-- Extended JSON to plain JSON. What has no plain form, or is no proper wrapper, stays as it is.
CREATE FUNCTION ref.normalize(v jsonb) RETURNS jsonb LANGUAGE plpgsql STRICT AS $$
DECLARE
    shape text := ref.shape(v);
    t text;
BEGIN
    IF jsonb_typeof(v) = 'array' THEN
        RETURN coalesce((SELECT jsonb_agg(ref.normalize(e) ORDER BY i)
                         FROM jsonb_array_elements(v) WITH ORDINALITY x(e, i)), '[]');
    ELSIF jsonb_typeof(v) <> 'object' THEN
        RETURN v;
    ELSIF shape IS NULL THEN
        RETURN coalesce((SELECT jsonb_object_agg(key, ref.normalize(value)) FROM jsonb_each(v)), '{}');
    ELSIF shape = 'undefined' OR (shape = 'date' AND v -> '$date' = 'null') THEN
        RETURN 'null';
    ELSIF shape IN ('timestamp', 'regex', 'minkey', 'maxkey', 'kept') THEN
        RETURN v;
    ELSIF shape = 'number' THEN
        t := ref.number_text(v);
        RETURN CASE WHEN ref.is_special(t) THEN ref.payload(v) ELSE to_jsonb(t::numeric) END;
    ELSIF shape = 'binary' THEN
        RETURN coalesce(to_jsonb(ref.binary_uuid(v)), to_jsonb(ref.base64_of(v)));
    ELSIF shape = 'date' THEN
        RETURN coalesce(to_jsonb(ref.iso_text(ref.as_time(v))), v);
    ELSE
        RETURN to_jsonb(ref.as_text(v));
    END IF;
EXCEPTION WHEN data_exception THEN
    RETURN v;
END $$;

-- publish: an object by default, and its count a whole number. What is no object is concatenated.
CREATE FUNCTION ref.as_publish(v jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    count jsonb := CASE WHEN jsonb_typeof(v) = 'object' THEN v -> 'count' END;
BEGIN
    IF jsonb_typeof(v) <> 'object' THEN
        RAISE WARNING 'publish is not an object';
    END IF;
    RETURN coalesce(v, '{}')
        || jsonb_build_object('count', coalesce(floor(ref.as_numeric(nullif(count, 'null'), false)), 0));
END $$;

-- Fields ------------------------------------------------------------------------------------------------

-- The first of several fields that is there and not null: no $undefined either, and no wrapper around null. The last
-- one is taken as it is, a JSON null as SQL's.
CREATE FUNCTION ref.field(doc jsonb, VARIADIC names text[]) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    v jsonb;
    shape text;
BEGIN
    FOR i IN 1 .. array_length(names, 1) LOOP
        v := nullif(doc -> names[i], 'null');
        shape := ref.shape(v);
        IF shape IN ('oid', 'date', 'number') AND i < array_length(names, 1) THEN
            CONTINUE WHEN ref.payload(v) = 'null';
        END IF;
        IF i = array_length(names, 1) OR v IS NOT NULL AND shape IS DISTINCT FROM 'undefined' THEN
            RETURN v;
        END IF;
    END LOOP;
END $$;

-- The trigger -------------------------------------------------------------------------------------------

CREATE FUNCTION ref.transform() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    doc jsonb := NEW._doc::jsonb;
    n jsonb;
BEGIN
    IF jsonb_typeof(doc) <> 'object' THEN
        PERFORM ref.fail('22023', 'not an object');
    END IF;
    NEW.tenant_id := coalesce(ref.as_text(ref.field(doc, 'tenant_id', 'tenantId')), TG_ARGV[0]);
    NEW.project_id := coalesce(ref.as_text(ref.field(doc, 'project_id', 'projectId')), TG_ARGV[1]);
    NEW.id := coalesce(ref.as_text(ref.field(doc, 'id')), 'MISSING');
    NEW.code := ref.as_text(ref.field(doc, 'code'));
    NEW.deleted := coalesce(ref.as_boolean(ref.field(doc, 'deleted')), false);
    NEW.discount := ref.field(doc, 'discount');
    NEW.publish := ref.as_publish(ref.field(doc, 'publish'));
    NEW.validity_day_of_week := ref.as_int_array(ref.field(doc, 'validity_day_of_week', 'validityDayOfWeek'));
    NEW.created_at := ref.objectid_time(ref.field(doc, '_id'));
    NEW.updated_at := ref.as_time(ref.field(doc, 'updated_at', 'updatedAt'));
    NEW.deleted_at := ref.as_time(ref.field(doc, 'deletedAt', 'deleted_at'));
    NEW.redeemed := ref.as_int(ref.field(doc, 'redeemed'), 64);
    NEW.quantity := ref.as_int(ref.field(doc, 'quantity'), 32);
    NEW.ratio := ref.as_float(ref.field(doc, 'ratio'));
    NEW.price := ref.as_numeric(ref.field(doc, 'price'));
    NEW.active := ref.as_boolean(ref.field(doc, 'active'));
    NEW.starts_on := ref.as_timestamp(ref.field(doc, 'starts_on', 'startsOn'))::date;
    NEW.local_time := ref.as_timestamp(ref.field(doc, 'local_time', 'localTime'));
    NEW.owner := ref.as_uuid(ref.field(doc, 'owner'));
    NEW.payload := ref.as_bytea(ref.field(doc, 'payload'));
    NEW.tags := ref.as_text_array(ref.field(doc, 'tags'));
    NEW.amounts := ref.as_numeric_array(ref.field(doc, 'amounts'));
    NEW.metadata := ref.field(doc, 'metadata');
    n := ref.normalize(ref.field(doc, 'normalized'));
    NEW.normalized := nullif(n, 'null');
    RETURN NEW;
END $$;
