-- Begun if and only if what asked for it was committed; not at all behind $10 others that wait for their turn, nor when
-- there is one of that name. $9: what whoever asks has done of it, in the same transaction, step → output.
WITH made AS (
    INSERT INTO cell.orchestrations
        (orchestration_id, workflow, version, target, state, payload, lane, steps, steps_done)
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, (SELECT count(*) FROM jsonb_each($9::jsonb))
    WHERE (SELECT count(*) FROM (
               SELECT FROM cell.orchestrations o WHERE o.lane = $7 AND o.wake_at <= clock_timestamp() LIMIT $10
           ) waiting) < $10
    ON CONFLICT DO NOTHING RETURNING *
), done AS (
    INSERT INTO cell.orchestration_steps (orchestration_id, step, status, attempts, output, ended_at)
    SELECT made.orchestration_id, step.key, 'COMPLETED', 1, step.value, clock_timestamp()
    FROM made, jsonb_each($9::jsonb) step
)
SELECT * FROM made
