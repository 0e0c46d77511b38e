-- Where a tenant lives, as the fence of its cell says.
INSERT INTO directory.assignments (tenant_id, cell_id, epoch) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id) DO UPDATE SET cell_id = excluded.cell_id, epoch = excluded.epoch
