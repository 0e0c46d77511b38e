-- What became different about a move; null: as it was. After `lock_move`, in the same transaction.
UPDATE directory.moves
SET epochs = epochs || coalesce($2::jsonb, '{}'),
    progress = progress || coalesce($3::jsonb, '{}'),
    proof = proof || coalesce($4::jsonb, '{}'),
    pause_ms = coalesce($5, pause_ms),
    error = coalesce($6, error),
    updated_at = clock_timestamp()
WHERE move_id = $1
RETURNING *
