-- A step that was done before a crash is not done twice.
INSERT INTO cell.allocations (account_id, namespace_id, shard_id) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
