-- What an orchestration was told.
SELECT name, payload FROM cell.orchestration_signals WHERE orchestration_id = $1
