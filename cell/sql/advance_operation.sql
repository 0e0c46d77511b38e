-- One step further.
UPDATE cell.operations SET state = $2, steps_done = $3, updated_at = now() WHERE operation_id = $1
