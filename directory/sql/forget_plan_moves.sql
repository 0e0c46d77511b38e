-- Of a plan that goes on for long, the latest $2 moves are kept; its counts know the others. What was begun within the
-- last $3 seconds stays, for budgets count it.
DELETE FROM directory.plan_moves p
WHERE p.plan_id = $1 AND p.state <> 'begun'
  AND p.number <= (SELECT max(number) - $2 FROM directory.plan_moves WHERE plan_id = $1)
  AND (p.begun_at IS NULL OR p.begun_at <= clock_timestamp() - make_interval(secs => $3))
