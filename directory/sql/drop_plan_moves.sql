-- A plan that ended begins nothing more.
UPDATE directory.plan_moves SET state = 'dropped' WHERE plan_id = $1 AND state = 'waiting'
