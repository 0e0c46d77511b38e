-- What was not begun is replaced by what is planned with what really happened.
DELETE FROM directory.plan_moves WHERE plan_id = $1 AND state = 'waiting'
