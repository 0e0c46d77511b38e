-- The commit point of every move: compare-and-set by epoch.
UPDATE directory.assignments a SET cell_id = $3, epoch = nextval('directory.epochs')
FROM directory.assignments old
WHERE a.tenant_id = $1 AND a.epoch = $2 AND old.tenant_id = a.tenant_id
RETURNING a.epoch, old.cell_id AS left_cell_id
