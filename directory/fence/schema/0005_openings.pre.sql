-- A fence is opened without waiting for writers.
-- Moves the fence by a decision that is recorded elsewhere. The same decision again does nothing; an older one is
-- refused, so a late messenger is harmless.
-- Closing waits for the tenant's writers (the caller sets lock_timeout); what was moving waits for its mover too.
-- Opening what is open or fenced waits for nobody, because it excludes nobody. A writer that was admitted at an older
-- epoch that is open still (a switch gave up before its fence) writes rows that stay here and are captured as
-- before, and whoever closes the fence next waits for it as for any other. At a fence that is closed nobody was
-- admitted, only refused. With the lock, one transaction that does not end would keep a tenant closed that is
-- decided to live here. (Above READ COMMITTED a writer holds the fence's row, and is waited for nevertheless.)
CREATE OR REPLACE FUNCTION cellway.set_fence(tenant text, new_epoch bigint, new_state text, new_move_id text)
    RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known bigint;
BEGIN
    IF new_state = 'active' THEN
        UPDATE cellway.fence f
        SET epoch = new_epoch, state = new_state, move_id = new_move_id, updated_at = now()
        WHERE f.tenant_id = tenant AND f.epoch < new_epoch AND f.state IN ('active', 'fenced');
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;
    PERFORM pg_advisory_xact_lock(cellway.lock_key(tenant));
    INSERT INTO cellway.fence AS f (tenant_id, epoch, state, move_id)
    VALUES (tenant, new_epoch, new_state, new_move_id)
    ON CONFLICT (tenant_id) DO UPDATE
        SET epoch = excluded.epoch, state = excluded.state, move_id = excluded.move_id, updated_at = now()
        WHERE f.epoch < excluded.epoch
           OR (f.epoch = excluded.epoch AND f.state = excluded.state
               AND f.move_id IS NOT DISTINCT FROM excluded.move_id);
    IF NOT FOUND THEN
        SELECT f.epoch INTO known FROM cellway.fence f WHERE f.tenant_id = tenant;
        RAISE EXCEPTION 'a later decision is known' USING ERRCODE = 'CW002', DETAIL = known::text;
    END IF;
END
$$;
