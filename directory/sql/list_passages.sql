-- Moves that have not ended, with where their tenants live: they take room at the other end too.
SELECT m.tenant_id, t.plan, t.revenue, a.cell_id AS home, m.source, m.destination, m.phase
FROM directory.moves m JOIN directory.tenants t USING (tenant_id) JOIN directory.assignments a USING (tenant_id)
WHERE m.ended_at IS NULL
