-- One operation of the tenant that was entered.
SELECT * FROM cell.orchestrations WHERE orchestration_id = $1
