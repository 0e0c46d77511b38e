-- After `lock_plan`, in the same transaction. Null: what went wrong stays as it is.
UPDATE directory.plans
SET state = $2, error = coalesce($3, error), updated_at = clock_timestamp(),
    approved_by = CASE WHEN $4 = '' THEN approved_by ELSE $4 END,
    approved_at = CASE WHEN $4 = '' THEN approved_at ELSE clock_timestamp() END,
    ended_at = CASE WHEN $5 THEN clock_timestamp() END
WHERE plan_id = $1
RETURNING *
