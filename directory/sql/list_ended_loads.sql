-- Some tenants of whom a part of the week has ended, with all that is known of their weeks.
SELECT l.tenant_id, l.period, l.period_seconds, l.cpus_sum, l.cpus_squares, l.network_sum, l.network_squares,
       l.memory_bytes, l.storage_bytes, u.mean, u.variance
FROM directory.loads l
LEFT JOIN directory.usual_loads u USING (tenant_id)
WHERE l.period < $1 AND l.period_seconds > 0
ORDER BY l.period, l.tenant_id
LIMIT $2
