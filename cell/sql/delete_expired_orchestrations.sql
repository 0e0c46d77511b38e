-- A bounded bite; their steps and signals go along.
DELETE FROM cell.orchestrations WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM cell.orchestrations WHERE expires_at <= now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
