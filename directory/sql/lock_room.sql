-- An open cell with a free place. Before its room is looked at: everybody takes the cell's row first.
SELECT cell_id FROM directory.cells
WHERE cell_id = $1 AND state = 'open' AND tenants < capacity_tenants
FOR NO KEY UPDATE
