-- The namespace was locked, its version compared, and its hours up to now counted before.
INSERT INTO cell.namespace_storage AS s (account_id, namespace_id, bytes) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, account_id, namespace_id) DO UPDATE
    SET bytes = excluded.bytes, version = s.version + 1, updated_at = now()
RETURNING *
