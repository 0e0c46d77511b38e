-- Held until the change that depends on it commits.
SELECT n.account_id, n.namespace_id, n.state, coalesce(s.bytes, 0) AS bytes, coalesce(s.version, 0) AS version,
       coalesce(s.updated_at, n.created_at) AS updated_at
FROM cell.namespaces n LEFT JOIN cell.namespace_storage s USING (tenant_id, account_id, namespace_id)
WHERE n.account_id = $1 AND n.namespace_id = $2 FOR UPDATE OF n
