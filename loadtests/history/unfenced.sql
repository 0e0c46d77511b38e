-- Takes the fence out of a cell's database: nobody is refused by it any more, whatever it knows. Capture stays.
CREATE OR REPLACE FUNCTION cellway.guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant text := coalesce(current_setting('app.tenant', true), '');
BEGIN
    IF (SELECT f.captured FROM cellway.fence f WHERE f.tenant_id = tenant) AND current_setting('app.epoch') <> '' THEN
        PERFORM set_config('cellway.captured', tenant, true);
    ELSIF current_setting('cellway.captured', true) <> '' THEN
        PERFORM set_config('cellway.captured', '', true);
    END IF;
    RETURN NULL;
END
$$;

CREATE OR REPLACE FUNCTION cellway.enter(tenant text, believed bigint, OUT epoch bigint, OUT state text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('app.tenant', tenant, true), set_config('app.epoch', believed::text, true);
    SELECT f.epoch, f.state INTO enter.epoch, enter.state FROM cellway.fence f WHERE f.tenant_id = tenant;
    -- Movers ask with 0, and are told the truth.
    IF believed <> 0 AND enter.epoch IS NOT NULL THEN
        enter.epoch := believed;
        enter.state := 'active';
    END IF;
END
$$;
