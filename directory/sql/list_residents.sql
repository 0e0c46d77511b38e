-- A page of everybody who lives somewhere, for whoever plans for the whole fleet.
SELECT t.tenant_id, a.cell_id, t.plan, t.state, t.region, t.tags, t.revenue, t.dedicated_to
FROM directory.tenants t JOIN directory.assignments a USING (tenant_id)
WHERE t.tenant_id > $1
ORDER BY t.tenant_id
LIMIT $2
