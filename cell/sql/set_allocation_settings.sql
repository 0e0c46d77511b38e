-- What the tenant's plan gives to a namespace.
UPDATE cell.allocations SET settings = $3 WHERE account_id = $1 AND namespace_id = $2
