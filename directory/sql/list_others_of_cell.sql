-- Tenants of a cell that are not dedicated to that name, nor of that name themselves; enough of them to be told.
SELECT t.tenant_id
FROM directory.assignments a JOIN directory.tenants t USING (tenant_id)
WHERE a.cell_id = $1 AND t.dedicated_to <> $2 AND t.tenant_id <> $2
ORDER BY t.tenant_id
LIMIT 1000
