-- The commit point of every move: compare-and-set by epoch.
UPDATE directory.assignments SET cell_id = $3, epoch = nextval('directory.epochs')
WHERE tenant_id = $1 AND epoch = $2
RETURNING epoch
