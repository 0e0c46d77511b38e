-- The first assignment, at a fresh epoch.
INSERT INTO directory.assignments (tenant_id, cell_id, epoch) VALUES ($1, $2, nextval('directory.epochs'))
RETURNING epoch
