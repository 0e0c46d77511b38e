-- Every effect is written under this lock and this token: who has lost the lease changes nothing.
UPDATE cell.jobs SET lease_until = clock_timestamp() + make_interval(secs => $3), updated_at = now()
WHERE job_id = $1 AND lease_token = $2 AND state = 'running' RETURNING *
