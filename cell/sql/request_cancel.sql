-- The worker looks at this before each step.
UPDATE cell.operations SET cancel_requested = true, updated_at = now() WHERE operation_id = $1 RETURNING *
