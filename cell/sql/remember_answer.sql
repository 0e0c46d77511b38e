-- In the transaction of the work. No row: somebody else has just finished the same request.
INSERT INTO cell.idempotency_keys AS k (scope, key, digest, status, headers, body, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))
ON CONFLICT (tenant_id, scope, key) DO UPDATE
    SET digest = excluded.digest, status = excluded.status, headers = excluded.headers, body = excluded.body,
        created_at = now(), expires_at = excluded.expires_at
    WHERE k.expires_at <= now()
RETURNING 1
