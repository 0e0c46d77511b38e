-- A failed attempt waits for its next one.
UPDATE cell.jobs
SET state = $3, run_at = clock_timestamp() + make_interval(secs => $4), last_error = $5,
    lease_token = NULL, lease_until = NULL, updated_at = now()
WHERE job_id = $1 AND lease_token = $2
