-- Whoever takes a turn to switch after its move has ended leaves it behind: then the move could not be forgotten, nor any
-- that was to be forgotten together with it.
CREATE OR REPLACE FUNCTION directory.forget_moves(kept_seconds double precision, most integer) RETURNS integer
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
    ), switches AS (
        DELETE FROM directory.move_switches s USING old WHERE s.move_id = old.move_id
    ), events AS (
        DELETE FROM directory.move_events e USING old WHERE e.move_id = old.move_id
    ), decisions AS (
        DELETE FROM directory.move_decisions d USING old WHERE d.move_id = old.move_id
    ), gone AS (
        DELETE FROM directory.moves m USING old WHERE m.move_id = old.move_id RETURNING m.move_id
    )
    SELECT count(*)::integer FROM gone
$$;
