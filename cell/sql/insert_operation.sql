-- Written with the job that will do the work, in the transaction that asks for it.
INSERT INTO cell.operations (operation_id, type, target, state, steps) VALUES ($1, $2, $3, $4, $5) RETURNING *
