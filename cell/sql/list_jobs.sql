-- A page for the operator of the tenant that was entered, those first that changed last.
SELECT job_id, actor, lane, state, attempts, most_attempts, effect_key, wake_at, last_error, created_at, updated_at
FROM cell.jobs
WHERE ($1::text IS NULL OR state = $1) AND ($2::text IS NULL OR lane = $2) AND ($3::text IS NULL OR actor = $3)
  AND ($4::timestamptz IS NULL OR (updated_at, job_id) < ($4, $5::text COLLATE "C"))
ORDER BY updated_at DESC, job_id DESC LIMIT $6
