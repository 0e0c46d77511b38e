-- A planner that has not heard of a tenant yet reads all of its rows for each that a step looks for.
-- Has the planner know of a table as it is now: whoever has brought many rows of a tenant asks for it. Nothing is waited
-- for, as whoever holds the table so does the same.
CREATE FUNCTION cellway.refresh_statistics(captured text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF EXISTS (SELECT FROM cellway.tables t WHERE t.relation = captured) THEN
        EXECUTE 'ANALYZE (SKIP_LOCKED) ' || to_regclass(captured);
    END IF;
END
$$;
REVOKE EXECUTE ON FUNCTION cellway.refresh_statistics(text) FROM PUBLIC;
