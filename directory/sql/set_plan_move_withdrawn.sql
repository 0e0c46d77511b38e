-- Why a move that was begun is cancelled; what becomes of it is seen when it has ended.
UPDATE directory.plan_moves SET error = $3 WHERE plan_id = $1 AND number = $2
