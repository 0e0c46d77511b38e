-- After `lock_plan`, in the same transaction.
SELECT * FROM directory.plan_moves WHERE plan_id = $1 AND number = $2 FOR NO KEY UPDATE
