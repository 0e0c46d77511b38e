-- From now on it is the tenant's.
INSERT INTO cell.taken_resources (resource_id, kind) VALUES ($1, $2)
