-- After `lock_cell`, in the same transaction.
UPDATE directory.cells SET state = $2, updated_at = now() WHERE cell_id = $1 RETURNING *
