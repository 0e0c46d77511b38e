-- One cell.
SELECT * FROM directory.cells WHERE cell_id = $1
