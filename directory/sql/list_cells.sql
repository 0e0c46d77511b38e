-- All cells; a fleet has at most some thousands.
SELECT * FROM directory.cells ORDER BY cell_id
