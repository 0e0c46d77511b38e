-- After `lock_move`, in the same transaction.
UPDATE directory.moves SET lease_until = clock_timestamp() + make_interval(secs => $2), updated_at = clock_timestamp()
WHERE move_id = $1
RETURNING *
