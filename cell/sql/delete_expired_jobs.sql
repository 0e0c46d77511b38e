-- A bounded bite.
DELETE FROM cell.jobs WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM cell.jobs WHERE expires_at <= now()
    ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
