-- What the tenants of a cell took lately, all together, and how many of them that is known of.
SELECT count(*)::integer AS tenants, count(l.cpus)::integer AS measured,
       coalesce(sum(l.cpus::float8), 0) AS cpus, coalesce(sum(l.memory_bytes::float8), 0) AS memory_bytes,
       coalesce(sum(l.storage_bytes::float8), 0) AS storage_bytes,
       coalesce(sum(l.network_bits::float8), 0) AS network_bits,
       coalesce(sum(l.request_rate::float8), 0) AS request_rate,
       coalesce(sum(l.database_share::float8), 0) AS database_share,
       sum(l.database_bits::float8) AS database_bits,
       coalesce(sum(l.job_share::float8), 0) AS job_share, max(l.measured_at) AS measured_at,
       count(l.memory_bytes)::integer AS memory_known, count(l.storage_bytes)::integer AS storage_known
FROM directory.assignments a
LEFT JOIN directory.loads l USING (tenant_id)
WHERE a.cell_id = $1
