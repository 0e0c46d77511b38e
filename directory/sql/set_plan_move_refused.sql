-- The directory has a reason against this move.
UPDATE directory.plan_moves SET state = 'refused', error = $3 WHERE plan_id = $1 AND number = $2
