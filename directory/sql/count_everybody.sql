-- How many live in each cell, after many were put elsewhere.
UPDATE directory.cells c
SET tenants = (SELECT count(*) FROM directory.assignments a WHERE a.cell_id = c.cell_id)
