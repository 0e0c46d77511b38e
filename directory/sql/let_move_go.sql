-- After `lock_move`. The token stays, so that one that nobody has claimed since cannot be confused with another.
UPDATE directory.moves
SET owner = '', lease_until = NULL, claim_after = CASE WHEN $2 > 0 THEN clock_timestamp() + make_interval(secs => $2) END,
    updated_at = clock_timestamp()
WHERE move_id = $1
