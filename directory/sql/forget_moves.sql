-- Moves that ended so many seconds ago ($1), at most $2, the oldest first; one that another move is the reverse of
-- waits for that one to go. A move whose row somebody else has just now is left for the next time.
WITH old AS MATERIALIZED (
    SELECT m.move_id
    FROM directory.moves m
    WHERE m.ended_at <= clock_timestamp() - make_interval(secs => $1)
      AND NOT EXISTS (SELECT FROM directory.moves r WHERE r.reverses = m.move_id)
    ORDER BY m.ended_at, m.move_id
    LIMIT $2
    FOR UPDATE SKIP LOCKED
), events AS (
    DELETE FROM directory.move_events e USING old WHERE e.move_id = old.move_id
), decisions AS (
    DELETE FROM directory.move_decisions d USING old WHERE d.move_id = old.move_id
), gone AS (
    DELETE FROM directory.moves m USING old WHERE m.move_id = old.move_id RETURNING m.move_id
)
SELECT count(*) FROM gone
