-- Ended plans beyond the latest $1, with their moves; at most $2 at once, so that no transaction is long. Those that
-- have begun a move within the last $3 seconds stay, for budgets count it.
DELETE FROM directory.plans p
USING (
    SELECT beyond.plan_id
    FROM (SELECT plan_id FROM directory.plans WHERE ended_at IS NOT NULL ORDER BY plan_id DESC OFFSET $1) beyond
    WHERE NOT EXISTS (SELECT FROM directory.plan_moves m
                      WHERE m.plan_id = beyond.plan_id
                        AND m.begun_at > clock_timestamp() - make_interval(secs => $3))
    ORDER BY beyond.plan_id
    LIMIT $2
) old
WHERE p.plan_id = old.plan_id
