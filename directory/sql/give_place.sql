-- The reverse of `take_place`.
UPDATE directory.cells SET tenants = tenants - 1 WHERE cell_id = $1
