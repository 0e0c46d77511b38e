-- After `lock_move`, in the same transaction. With its end nobody carries it any more.
UPDATE directory.moves
SET phase = $2, phase_at = clock_timestamp(), attempt = attempt + $3, updated_at = clock_timestamp(),
    ended_at = CASE WHEN $4 THEN clock_timestamp() END,
    owner = CASE WHEN $4 THEN '' ELSE owner END,
    lease_until = CASE WHEN $4 THEN NULL ELSE lease_until END
WHERE move_id = $1
RETURNING *
