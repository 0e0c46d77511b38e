-- A bounded bite; their jobs go along.
DELETE FROM cell.operations WHERE operation_id IN
    (SELECT operation_id FROM cell.operations WHERE expires_at <= now() ORDER BY expires_at LIMIT $1)
