-- What a tenant took lately, and what is usual for it.
SELECT l.tenant_id, l.cell_id, l.cpus, l.memory_bytes, l.storage_bytes, l.network_bits, l.request_rate,
       l.row_bytes, l.database_share, l.database_bits, l.job_share, l.measured_at,
       l.period_seconds AS measured_seconds, u.mean, u.variance
FROM directory.loads l
LEFT JOIN directory.usual_loads u USING (tenant_id)
WHERE l.tenant_id = $1
