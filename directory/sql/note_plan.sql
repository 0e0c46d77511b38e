-- What a plan looks like, and what it waits for.
UPDATE directory.plans
SET summary = $2::jsonb, error = $3, made_at = clock_timestamp(), updated_at = clock_timestamp()
WHERE plan_id = $1
RETURNING *
