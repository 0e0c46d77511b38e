-- The name stays the same when the tenant moves to another cell.
UPDATE cell.allocations SET endpoint = $3 WHERE account_id = $1 AND namespace_id = $2
