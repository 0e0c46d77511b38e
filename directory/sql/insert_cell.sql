-- A cell joins; nothing happens when the name is taken.
INSERT INTO directory.cells (cell_id, region, state, address, control_address, capacity_tenants, version, tags)
VALUES ($1, $2, 'joining', $3, $4, $5, $6, $7)
ON CONFLICT (cell_id) DO NOTHING
RETURNING *
