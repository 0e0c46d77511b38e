-- Decisions that still have to reach a cell, the oldest first.
SELECT t.*, a.cell_id, a.epoch
FROM directory.tenants t LEFT JOIN directory.assignments a USING (tenant_id)
WHERE t.revision <> t.applied_revision AND t.revision > $2
ORDER BY t.revision
LIMIT $1
