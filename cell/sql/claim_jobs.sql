-- Counted before the run, so that a job that kills its worker counts too; the count is the number of its owner. SKIP
-- LOCKED: somebody else is at them. Whose lease is of an epoch before this one ($4) cannot finish any more.
UPDATE cell.jobs j
SET state = 'running', attempts = j.attempts + 1, claimed_epoch = $4, updated_at = now(),
    wake_at = clock_timestamp() + make_interval(secs => $3)
WHERE j.job_id = ANY (ARRAY(
    SELECT d.job_id FROM cell.jobs d WHERE d.lane = $1 AND d.wake_at <= clock_timestamp()
    ORDER BY d.wake_at LIMIT $2 FOR UPDATE SKIP LOCKED) || ARRAY(
    SELECT l.job_id FROM cell.jobs l WHERE l.lane = $1 AND l.state = 'running' AND l.claimed_epoch < $4
    LIMIT $2 FOR UPDATE SKIP LOCKED))
RETURNING j.job_id, j.actor, j.args, j.attempts, j.most_attempts, j.effect_key, j.slot_at
