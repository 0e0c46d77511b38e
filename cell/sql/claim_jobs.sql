-- Counted before the run, so that a job that kills its worker counts too; the count is the number of its owner. SKIP
-- LOCKED: somebody else is at them.
UPDATE cell.jobs j
SET state = 'running', attempts = j.attempts + 1, updated_at = now(),
    wake_at = clock_timestamp() + make_interval(secs => $3)
WHERE j.job_id = ANY (ARRAY(
    SELECT d.job_id FROM cell.jobs d WHERE d.lane = $1 AND d.wake_at <= clock_timestamp()
    ORDER BY d.wake_at LIMIT $2 FOR UPDATE SKIP LOCKED))
RETURNING j.job_id, j.actor, j.args, j.attempts, j.most_attempts, j.effect_key, j.slot_at
