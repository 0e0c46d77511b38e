-- A cell takes back whom it gave away: also when it is full or takes nobody new, for the rows are still there.
UPDATE directory.cells SET tenants = tenants + 1
WHERE cell_id = $1 AND state NOT IN ('joining', 'failed', 'retired')
RETURNING cell_id
