-- What the extension is measured against: the article's trigger and helpers, in the article's way of doing it.
-- The tables come later.
SET check_function_bodies = off;
CREATE SCHEMA article;

CREATE FUNCTION article.hex_to_bigint(hexval text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE
    number bigint;
BEGIN
    EXECUTE format('SELECT (x%L)::bigint', hexval) INTO number;
    RETURN number;
END $$;

CREATE FUNCTION article.json_arr2int_arr(js jsonb) RETURNS integer[] LANGUAGE sql IMMUTABLE AS $$
    SELECT ARRAY(SELECT e::numeric::integer FROM jsonb_array_elements_text(js) e)
$$;

-- Column by column from one jsonb; a date is a $date number first, and what timestamp takes otherwise.
CREATE FUNCTION article.transform_voucher() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    incoming timestamptz;
    stored timestamptz;
    j jsonb;
BEGIN
    IF TG_OP = 'UPDATE' AND OLD._doc::text != NEW._doc::text THEN
        incoming := greatest(
            to_timestamp((NEW._doc::jsonb -> 'updated_at' ->> '$date')::bigint / 1000), (j ->> 'updated_at')::timestamp,
            to_timestamp((NEW._doc::jsonb -> 'deletedAt' ->> '$date')::bigint / 1000), (j ->> 'deletedAt')::timestamp);
        stored := greatest(OLD.updated_at, OLD.deleted_at);
        IF incoming < stored THEN
            RAISE WARNING 'VOUCHER ANOMALY DETECTED - ID: %, Incoming time: %, Stored time: %', NEW._id, incoming, stored;
            RETURN NEW;
        END IF;
    END IF;

    IF NEW._doc IS NOT NULL AND (TG_OP = 'INSERT' OR OLD._doc::text != NEW._doc::text) THEN
        j := NEW._doc::jsonb;

        NEW.tenant_id = coalesce(j ->> 'tenant_id', TG_ARGV[0]);
        NEW.project_id = coalesce(j ->> 'project_id', TG_ARGV[1]);
        NEW.id = coalesce(j ->> 'id', 'MISSING');
        NEW.code = j ->> 'code';
        NEW.campaign = j ->> 'campaign';
        NEW.category = j ->> 'category';
        NEW.type = j ->> 'type';
        NEW.additional_info = j ->> 'additional_info';
        NEW.deleted = coalesce((j ->> 'deleted')::boolean, false);
        NEW.active = (j ->> 'active')::boolean;

        NEW.discount = j -> 'discount';
        IF jsonb_typeof(NEW.discount) = 'null' THEN
            NEW.discount = NULL;
        END IF;
        NEW.redemption = j -> 'redemption';
        IF jsonb_typeof(NEW.redemption) = 'null' THEN
            NEW.redemption = NULL;
        END IF;
        NEW.metadata = j -> 'metadata';
        IF jsonb_typeof(NEW.metadata) = 'null' THEN
            NEW.metadata = NULL;
        END IF;
        NEW.gift = j -> 'gift';
        IF jsonb_typeof(NEW.gift) = 'null' THEN
            NEW.gift = NULL;
        END IF;

        NEW.publish = coalesce(j -> 'publish', '{}'::jsonb);
        IF jsonb_typeof(NEW.publish) = 'null' THEN
            NEW.publish = '{}'::jsonb;
        END IF;
        NEW.publish = NEW.publish || jsonb_build_object('count', coalesce(floor((NEW.publish ->> 'count')::float), 0));

        IF j ->> 'validity_day_of_week' IS NOT NULL THEN
            NEW.validity_day_of_week = article.json_arr2int_arr(j -> 'validity_day_of_week');
        ELSE
            NEW.validity_day_of_week = NULL;
        END IF;

        NEW.created_at = to_timestamp(article.hex_to_bigint(substr(j -> '_id' ->> '$oid', 1, 8)));
        NEW.updated_at = coalesce(to_timestamp((j -> 'updated_at' ->> '$date')::bigint / 1000),
                                  (j ->> 'updated_at')::timestamp);
        NEW.deleted_at = coalesce(to_timestamp((j -> 'deletedAt' ->> '$date')::bigint / 1000),
                                  (j ->> 'deletedAt')::timestamp);
    END IF;
    RETURN NEW;
END $$;

-- One batch of the article's move: take some keys, delete by them, insert what was deleted.
CREATE FUNCTION article.move_batch(batch integer) RETURNS bigint LANGUAGE sql AS $$
    WITH chosen AS (
        SELECT tenant_id, project_id, id FROM bench.child_article LIMIT batch
    ), removed AS (
        DELETE FROM bench.child_article c USING chosen s
        WHERE c.tenant_id = s.tenant_id AND c.project_id = s.project_id AND c.id = s.id
        RETURNING c.tenant_id, c.project_id, c.id, c.code, c.campaign, c.category, c.type, c.additional_info, c.deleted,
                  c.active, c.discount, c.gift, c.publish, c.redemption, c.metadata, c.validity_day_of_week, c.created_at,
                  c.updated_at, c.deleted_at
    ), inserted AS (
        INSERT INTO bench.vouchers SELECT * FROM removed
        ON CONFLICT ON CONSTRAINT pk_vouchers DO UPDATE SET
            code = excluded.code, campaign = excluded.campaign, category = excluded.category, type = excluded.type,
            additional_info = excluded.additional_info, deleted = excluded.deleted, active = excluded.active,
            discount = excluded.discount, gift = excluded.gift, publish = excluded.publish,
            redemption = excluded.redemption, metadata = excluded.metadata,
            validity_day_of_week = excluded.validity_day_of_week, updated_at = excluded.updated_at,
            deleted_at = excluded.deleted_at
        RETURNING 1
    )
    SELECT count(*) FROM inserted
$$;
