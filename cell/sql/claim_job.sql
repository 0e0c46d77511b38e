-- Counted before the run, so that a job that kills its worker counts too. SKIP LOCKED: somebody else is at it.
UPDATE cell.jobs j
SET state = 'running', attempts = j.attempts + 1, lease_token = gen_random_uuid(),
    lease_until = clock_timestamp() + make_interval(secs => $2), updated_at = now()
FROM (
    SELECT job_id FROM cell.jobs
    WHERE job_id = $1
      AND ((state = 'waiting' AND run_at <= clock_timestamp())
        OR (state = 'running' AND lease_until <= clock_timestamp()))
    FOR UPDATE SKIP LOCKED
) due
WHERE j.job_id = due.job_id RETURNING j.*
