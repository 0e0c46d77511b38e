-- So that the directory does not grow for ever.
CREATE INDEX moves_by_end ON directory.moves (ended_at) WHERE ended_at IS NOT NULL;

-- Removes moves that ended so long ago, with what happened to them; the oldest first, and at most so many. One that
-- another move is the reverse of waits for that one to go. A move whose row somebody else has just now is left for the
-- next time. Whoever carries moves calls it, and can take nothing else away. How many went.
CREATE FUNCTION directory.forget_moves(kept_seconds double precision, most integer) RETURNS integer
    LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
    WITH old AS MATERIALIZED (
        SELECT m.move_id
        FROM directory.moves m
        WHERE m.ended_at <= clock_timestamp() - make_interval(secs => kept_seconds)
          AND NOT EXISTS (SELECT FROM directory.moves r WHERE r.reverses = m.move_id)
        ORDER BY m.ended_at, m.move_id
        LIMIT most
        FOR UPDATE SKIP LOCKED
    ), events AS (
        DELETE FROM directory.move_events e USING old WHERE e.move_id = old.move_id
    ), decisions AS (
        DELETE FROM directory.move_decisions d USING old WHERE d.move_id = old.move_id
    ), gone AS (
        DELETE FROM directory.moves m USING old WHERE m.move_id = old.move_id RETURNING m.move_id
    )
    SELECT count(*)::integer FROM gone
$$;
REVOKE EXECUTE ON FUNCTION directory.forget_moves(double precision, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION directory.forget_moves(double precision, integer) TO directory_mover;
