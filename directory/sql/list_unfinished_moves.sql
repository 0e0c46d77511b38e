-- What stands in the way of deleting a tenant, or of another move of it.
SELECT move_id, phase FROM directory.moves WHERE tenant_id = $1 AND ended_at IS NULL ORDER BY move_id
