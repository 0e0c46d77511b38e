-- Ended plans beyond the latest $1, with their moves; at most $2 at once, so that no transaction is long.
DELETE FROM directory.plans p
USING (SELECT plan_id FROM directory.plans WHERE ended_at IS NOT NULL ORDER BY plan_id DESC OFFSET $1 LIMIT $2) old
WHERE p.plan_id = old.plan_id
