-- How much of its plan a tenant uses.
SELECT count(*) FROM cell.namespaces
