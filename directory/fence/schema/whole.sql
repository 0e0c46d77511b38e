-- The whole schema as it is now, for reading; a database goes through the numbered upgrades instead.
-- The fence, the guard that every tenant table carries, and the functions by which the control plane moves it.
CREATE SCHEMA cellway;
REVOKE ALL ON SCHEMA cellway FROM PUBLIC;

CREATE TABLE cellway.fence (
    tenant_id  text        COLLATE "C" PRIMARY KEY CHECK (tenant_id <> ''),
    epoch      bigint      NOT NULL CHECK (epoch > 0),
    state      text        NOT NULL CHECK (state IN ('active', 'importing', 'fenced', 'moved')),
    move_id    text,
    updated_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE cellway.fence ENABLE ROW LEVEL SECURITY;
ALTER TABLE cellway.fence FORCE ROW LEVEL SECURITY;
-- Only the functions below, which run as this owner, see more than one tenant's row.
CREATE POLICY fence_owner ON cellway.fence TO CURRENT_USER USING (true) WITH CHECK (true);
CREATE POLICY fence_own_row ON cellway.fence FOR SELECT
    USING (tenant_id = current_setting('app.tenant', true));

-- The lock that orders writers against a flip of the fence: writers share it until they commit, a flip excludes them.
CREATE FUNCTION cellway.lock_key(tenant text) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
AS $$ SELECT hashtextextended('fence:' || tenant, 0) $$;

-- Refuses a statement unless this database may write for the session's tenant at the session's epoch.
-- READ COMMITTED takes a fresh snapshot for the look at the fence, after the lock, so a plain read is current.
-- Higher levels keep their old snapshot; there FOR SHARE makes a flip since then a serialization failure.
CREATE FUNCTION cellway.guard() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    tenant   text := coalesce(current_setting('app.tenant', true), '');
    believed text := coalesce(nullif(current_setting('app.epoch', true), ''), '0');
    known    bigint;
    at_state text;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(cellway.lock_key(tenant));
    IF current_setting('transaction_isolation') = 'read committed' THEN
        SELECT f.epoch, f.state INTO known, at_state FROM cellway.fence f WHERE f.tenant_id = tenant;
    ELSE
        SELECT f.epoch, f.state INTO known, at_state FROM cellway.fence f WHERE f.tenant_id = tenant FOR SHARE;
    END IF;
    IF known IS NULL OR at_state <> 'active' OR known <> believed::bigint THEN
        RAISE EXCEPTION 'the fence refuses a write' USING ERRCODE = 'CW001', DETAIL = coalesce(known, 0)::text;
    END IF;
    RETURN NULL;
END
$$;

-- The first statement of every request's transaction: binds tenant and epoch to the transaction, and says what
-- the fence knows. No row: this tenant has never been here.
CREATE FUNCTION cellway.enter(tenant text, believed bigint, OUT epoch bigint, OUT state text) RETURNS record
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM set_config('app.tenant', tenant, true), set_config('app.epoch', believed::text, true);
    SELECT f.epoch, f.state INTO enter.epoch, enter.state FROM cellway.fence f WHERE f.tenant_id = tenant;
END
$$;

-- Moves the fence by a decision that is recorded elsewhere. Waits for the tenant's writers (the caller sets
-- lock_timeout). The same decision again does nothing; an older one is refused, so a late messenger is harmless.
CREATE FUNCTION cellway.set_fence(tenant text, new_epoch bigint, new_state text, new_move_id text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    known bigint;
BEGIN
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

-- For comparing with the directory.
CREATE FUNCTION cellway.fences(after text, most integer)
    RETURNS TABLE (tenant_id text, epoch bigint, state text, move_id text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    SELECT f.tenant_id, f.epoch, f.state, f.move_id FROM cellway.fence f
    WHERE f.tenant_id > after ORDER BY f.tenant_id LIMIT most
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA cellway FROM PUBLIC;
