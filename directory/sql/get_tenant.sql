-- A tenant and where it lives.
SELECT t.*, a.cell_id, a.epoch
FROM directory.tenants t LEFT JOIN directory.assignments a USING (tenant_id)
WHERE t.tenant_id = $1
