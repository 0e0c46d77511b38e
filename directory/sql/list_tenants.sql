-- A page of tenants by name, of one cell or state when asked.
SELECT t.tenant_id, t.display_name, t.plan, t.region, t.state, t.revision, t.applied_revision,
       t.creation_key, t.creation_digest, t.created_at, t.updated_at,
       t.requests_per_second, t.request_burst, t.customer, t.tags, t.revenue, t.dedicated_to, a.cell_id, a.epoch
FROM directory.tenants t LEFT JOIN directory.assignments a USING (tenant_id)
WHERE t.tenant_id > $1
  AND ($3::text IS NULL OR a.cell_id = $3)
  AND ($4::text IS NULL OR t.state = $4)
ORDER BY t.tenant_id
LIMIT $2
