-- In the transaction of the effects.
UPDATE cell.jobs SET state = $2, last_error = $3, lease_token = NULL, lease_until = NULL, updated_at = now()
WHERE job_id = $1
