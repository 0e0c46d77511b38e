-- A cell comes back at other addresses or with another capacity; where it stands in its life does not change.
UPDATE directory.cells
SET address = $2, control_address = $3, capacity_tenants = $4, version = $5, tags = $6, updated_at = now()
WHERE cell_id = $1
RETURNING *
