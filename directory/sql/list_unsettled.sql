-- Decisions that still have to reach a cell, the oldest first.
SELECT t.tenant_id, t.display_name, t.plan, t.region, t.state, t.revision, t.applied_revision,
       t.creation_key, t.creation_digest, t.created_at, t.updated_at,
       t.requests_per_second, t.request_burst, t.customer, t.tags, t.revenue, t.dedicated_to, a.cell_id, a.epoch
FROM directory.tenants t LEFT JOIN directory.assignments a USING (tenant_id)
WHERE t.revision <> t.applied_revision AND t.revision > $2
ORDER BY t.revision
LIMIT $1
