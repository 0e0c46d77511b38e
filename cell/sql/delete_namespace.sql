-- Takes the allocation along; the shard's occupancy follows by trigger.
DELETE FROM cell.namespaces WHERE account_id = $1 AND namespace_id = $2
