-- Moves from or to a cell that have not ended, and whose tenants are dedicated to whom; enough of them to be told.
SELECT m.move_id, m.tenant_id, t.dedicated_to
FROM directory.moves m JOIN directory.tenants t USING (tenant_id)
WHERE m.ended_at IS NULL AND $1 IN (m.source, m.destination)
ORDER BY m.move_id
LIMIT 1000
