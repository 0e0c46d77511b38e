-- Of a plan that goes on for long, the latest $2 moves are kept; its counts know the others.
DELETE FROM directory.plan_moves p
WHERE p.plan_id = $1 AND p.state <> 'begun'
  AND p.number <= (SELECT max(number) - $2 FROM directory.plan_moves WHERE plan_id = $1)
