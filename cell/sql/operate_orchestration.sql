-- What an operator decided about steps ($4). With a number of its own, like an owner: who was at it until its lease ran
-- out writes nothing any more, however late. $3: it goes on again, so what made it go back is over.
WITH held AS (
    UPDATE cell.orchestrations
    SET state = $2, error = CASE WHEN $3::boolean THEN NULL ELSE error END, steps_done = $5, updated_at = now(),
        fencing = fencing + 1, nudges = nudges + 1, leased = false, wake_at = clock_timestamp()
    WHERE orchestration_id = $1 AND outcome IS NULL RETURNING orchestration_id
)
UPDATE cell.orchestration_steps s
SET status = c.status, attempts = c.attempts, undo_attempts = c.undo_attempts, wake_at = NULL, error = c.error,
    ended_at = CASE WHEN c.status IN ('STARTED', 'UNDOING') THEN NULL ELSE clock_timestamp() END
FROM held, jsonb_to_recordset($4::jsonb) AS c (step text, status text, attempts integer, undo_attempts integer,
                                              error jsonb)
WHERE s.orchestration_id = held.orchestration_id AND s.step = c.step
