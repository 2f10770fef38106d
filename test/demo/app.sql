-- What the application does beside redeem(), which the story shows.
CREATE PROCEDURE mongo.redeem(project text, voucher text) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE mongo.vouchers v SET redeemed = redeemed + 1, updated_at = date_trunc('milliseconds', clock_timestamp())
    WHERE (v.project, v.id) = (redeem.project, voucher);
END $$;

CREATE FUNCTION issue(number integer) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF vm_is_switched('acme', 'summer', 'voucher') THEN
        INSERT INTO vouchers (tenant_id, project_id, id, code, publish, created_at, updated_at)
        VALUES ('acme', 'summer', 'v_' || number, 'NEW-' || number, '{"count": 0}', clock_timestamp(), clock_timestamp());
        RETURN 'PostgreSQL';
    END IF;
    PERFORM mongo.new_voucher('summer', number, clock_timestamp(), clock_timestamp());
    RETURN 'MongoDB';
END $$;
