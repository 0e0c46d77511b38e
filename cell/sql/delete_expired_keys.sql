-- A bounded bite. Locked before it is deleted: an answer that is being renewed is not past its time any more.
DELETE FROM cell.idempotency_keys WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM cell.idempotency_keys WHERE expires_at <= now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
