-- After `lock_move`. The token stays, so that one that nobody has claimed since cannot be confused with another.
-- $3: the wish that was known when it was claimed; one that came meanwhile is acted on at once. One whose way back is
-- taken waits for nothing but the other move.
UPDATE directory.moves
SET owner = '', lease_until = NULL,
    claim_after = CASE WHEN $2::float8 > 0 AND phase <> 'REVERSING' THEN
        clock_timestamp() + CASE WHEN wish = coalesce($3, wish) THEN make_interval(secs => $2) ELSE interval '0' END END,
    updated_at = clock_timestamp()
WHERE move_id = $1
