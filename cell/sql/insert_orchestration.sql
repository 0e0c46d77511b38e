-- Begun if and only if what asked for it was committed; not at all behind $10 others that wait for their turn, nor when
-- there is one of that name.
INSERT INTO cell.orchestrations (orchestration_id, workflow, version, target, state, payload, lane, steps, steps_done)
SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
WHERE (SELECT count(*) FROM (
           SELECT FROM cell.orchestrations o WHERE o.lane = $7 AND o.wake_at <= clock_timestamp() LIMIT $10
       ) waiting) < $10
ON CONFLICT DO NOTHING RETURNING *
