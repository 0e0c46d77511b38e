-- Every assignment, with the tenant's limit; read in the snapshot in which the head was read.
SELECT a.tenant_id, a.cell_id, a.epoch, t.requests_per_second, t.request_burst
FROM directory.assignments a JOIN directory.tenants t USING (tenant_id)
