-- A cell comes back at other addresses or with another capacity; where it stands in its life does not change.
-- What is not given stays, so two changes of different things at once lose neither.
UPDATE directory.cells
SET address = coalesce($2, address),
    control_address = coalesce($3, control_address),
    capacity_tenants = coalesce($4, capacity_tenants),
    version = coalesce($5, version),
    tags = coalesce($6, tags),
    dedicated_to = coalesce($7, dedicated_to),
    updated_at = now()
WHERE cell_id = $1
RETURNING *
