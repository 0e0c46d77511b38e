-- One operation of the tenant that was entered.
SELECT * FROM cell.operations WHERE operation_id = $1
