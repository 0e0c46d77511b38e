-- The next wave, after `lock_plan`, in the same transaction.
UPDATE directory.plans
SET wave = wave + 1, vain = $2, summary = $3::jsonb, error = CASE WHEN $2 = 0 THEN '' ELSE error END,
    made_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE plan_id = $1
RETURNING *
