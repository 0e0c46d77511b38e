-- An orchestration as it is recorded.
SELECT * FROM cell.orchestrations WHERE orchestration_id = $1
