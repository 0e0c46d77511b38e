-- A page of what tenants take, by name.
SELECT l.tenant_id, l.cpus, l.memory_bytes, l.storage_bytes, l.network_bits, l.row_bytes, l.period_seconds, l.measured_at,
       u.mean, u.variance
FROM directory.loads l
LEFT JOIN directory.usual_loads u USING (tenant_id)
WHERE l.tenant_id > $1
ORDER BY l.tenant_id
LIMIT $2
