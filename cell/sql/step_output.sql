-- What a step made; none when it was never done, so that there is nothing to undo.
SELECT output FROM cell.orchestration_steps WHERE orchestration_id = $1 AND step = $2
