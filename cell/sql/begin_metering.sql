-- From now on a namespace is counted. It is counted as created once, however often this is said.
WITH begun AS (
    INSERT INTO cell.namespace_storage (account_id, namespace_id) VALUES ($1, $2) ON CONFLICT DO NOTHING
)
INSERT INTO cell.usage_records (meter, record_key, quantity)
SELECT $3, n.account_id || '/' || n.namespace_id || '@' || extract(epoch FROM n.created_at), 1
FROM cell.namespaces n WHERE n.account_id = $1 AND n.namespace_id = $2
ON CONFLICT DO NOTHING
