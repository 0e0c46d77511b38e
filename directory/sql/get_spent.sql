-- What was begun within the last $1 seconds: by a plan, or by all that approved of themselves.
SELECT count(*) AS moves, coalesce(sum(m.bytes), 0) AS bytes
FROM directory.plan_moves m JOIN directory.plans p USING (plan_id)
WHERE m.begun_at > clock_timestamp() - make_interval(secs => $1)
  AND CASE WHEN $2::text IS NULL THEN p.automatic ELSE p.plan_id = $2 END
