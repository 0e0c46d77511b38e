-- Held until the decision about it commits.
SELECT * FROM cell.operations WHERE operation_id = $1 FOR UPDATE
