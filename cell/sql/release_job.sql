-- A failed attempt ($2, its number) waits for its next one, or was the last. $6: it does not count; $7: when its time
-- comes it has its turn at the provider's.
UPDATE cell.jobs
SET state = $3, last_error = $5, updated_at = now(), most_attempts = most_attempts + $6::boolean::integer,
    wake_at = CASE WHEN $3 = 'waiting' THEN clock_timestamp() + make_interval(secs => $4) END,
    slot_at = CASE WHEN $7::boolean THEN clock_timestamp() + make_interval(secs => $4) END
WHERE job_id = $1 AND attempts = $2 AND state = 'running' RETURNING job_id
