-- Every tenant with its cell and plan; read by a cursor, some at a time.
SELECT a.tenant_id, a.cell_id, t.plan
FROM directory.assignments a JOIN directory.tenants t USING (tenant_id)
