-- A cancellation is recorded in this row, so whoever holds it knows whether one came.
SELECT cancel_requested FROM cell.orchestrations WHERE orchestration_id = $1 FOR UPDATE
