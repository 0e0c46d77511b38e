-- One more thing that the namespace was given.
UPDATE cell.allocations SET settings = settings || $3 WHERE account_id = $1 AND namespace_id = $2
