-- The outbox: the job exists if and only if what asked for it was committed; one for each effect that is asked for, and
-- none behind $8 others that wait for their turn.
INSERT INTO cell.jobs (job_id, actor, args, lane, most_attempts, effect_key, wake_at)
SELECT $1, $2, $3, $4, $5, $6, clock_timestamp() + make_interval(secs => $7)
WHERE (SELECT count(*) FROM (
           SELECT FROM cell.jobs j WHERE j.lane = $4 AND j.wake_at <= clock_timestamp() LIMIT $8) waiting) < $8
ON CONFLICT (tenant_id, effect_key) DO NOTHING RETURNING job_id
