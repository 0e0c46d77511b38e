-- How a wave of a plan went, and which number its next move gets.
SELECT count(*) FILTER (WHERE state = 'begun') AS begun,
       count(*) FILTER (WHERE wave = $2 AND state = 'moved') AS moved,
       count(*) FILTER (WHERE wave = $2 AND state NOT IN ('waiting', 'dropped')) AS tried,
       coalesce(max(number), 0) AS last
FROM directory.plan_moves WHERE plan_id = $1
