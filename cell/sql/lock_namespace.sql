-- Held until the change that depends on it commits.
SELECT n.*, a.endpoint, a.settings FROM cell.namespaces n
LEFT JOIN cell.allocations a USING (tenant_id, account_id, namespace_id)
WHERE n.account_id = $1 AND n.namespace_id = $2 FOR UPDATE OF n
