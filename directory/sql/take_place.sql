-- Reserve one place by compare-and-set: two placers cannot overfill a cell.
UPDATE directory.cells SET tenants = tenants + 1
WHERE cell_id = $1 AND state = 'open' AND tenants < capacity_tenants
RETURNING cell_id
