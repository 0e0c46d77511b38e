-- In the transaction that plans the move itself, so that neither is there without the other.
UPDATE directory.plan_moves SET state = 'begun', move_id = $3, begun_at = clock_timestamp()
WHERE plan_id = $1 AND number = $2
