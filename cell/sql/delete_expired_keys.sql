-- A bounded bite.
DELETE FROM cell.idempotency_keys WHERE (scope, key) IN
    (SELECT scope, key FROM cell.idempotency_keys WHERE expires_at <= now() ORDER BY expires_at LIMIT $1)
