-- A cell joins; nothing happens when the name is taken, as it is for ever, also by a retired one.
INSERT INTO directory.cells
    (cell_id, region, state, address, control_address, capacity_tenants, version, tags,
     capacity_cpus, capacity_memory_bytes, capacity_storage_bytes, capacity_network_bits, cap_revenue, cap_top_tier,
     dedicated_to)
VALUES ($1, $2, 'joining', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (cell_id) DO NOTHING
RETURNING *
