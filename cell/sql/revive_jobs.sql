-- Dead jobs, named ones or a bounded bite, wait for a worker again, with $4 more attempts. The turn that one had at its
-- provider's is over. SKIP LOCKED: another operator is at them.
UPDATE cell.jobs j
SET state = 'waiting', most_attempts = j.attempts + $4::integer, wake_at = clock_timestamp(), slot_at = NULL,
    updated_at = now()
WHERE j.job_id = ANY (ARRAY(
    SELECT d.job_id FROM cell.jobs d
    WHERE d.state = 'dead' AND ($1::text[] IS NULL OR d.job_id = ANY ($1)) AND ($2::text IS NULL OR d.actor = $2)
    ORDER BY d.updated_at, d.job_id LIMIT $3 FOR UPDATE SKIP LOCKED))
RETURNING j.lane
