-- Everybody that the directory knows, with what their cells were told.
SELECT t.tenant_id, t.state, t.revision, t.applied_revision, a.cell_id, a.epoch
FROM directory.tenants t LEFT JOIN directory.assignments a USING (tenant_id)
