-- The lock says whether the same request is running right now; it ends with the transaction, also by a crash.
SELECT pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2 || ' ' || $3, 1)) AS mine,
       k.digest, k.status, k.headers, k.body
FROM (VALUES (1)) one (row)
LEFT JOIN cell.idempotency_keys k ON k.tenant_id = $1 AND k.scope = $2 AND k.key = $3 AND k.expires_at > now()
