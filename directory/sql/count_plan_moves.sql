-- What a plan has carried out so far, after `lock_plan`. Null: what went wrong stays as it is.
UPDATE directory.plans
SET moved = moved + $2, moved_bytes = moved_bytes + $3, failed = failed + $4, error = coalesce($5, error),
    updated_at = clock_timestamp()
WHERE plan_id = $1
RETURNING *
