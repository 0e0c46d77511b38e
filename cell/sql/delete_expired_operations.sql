-- A bounded bite; their jobs go along.
DELETE FROM cell.operations WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM cell.operations WHERE expires_at <= now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
