-- A page of one account's namespaces; the places in braces are filled with SQL of ours.
SELECT n.*, a.endpoint, a.settings, {keys} FROM cell.namespaces n
LEFT JOIN cell.allocations a USING (tenant_id, account_id, namespace_id)
WHERE n.account_id = $1 AND {filter} AND {after} ORDER BY {order} LIMIT {limit}
