-- With what it was given in this cell, once it was.
SELECT n.*, a.endpoint, a.settings FROM cell.namespaces n
LEFT JOIN cell.allocations a USING (tenant_id, account_id, namespace_id)
WHERE n.account_id = $1 AND n.namespace_id = $2
