-- Whoever waits for it is woken by the commit.
WITH finished AS (
    UPDATE cell.operations
    SET state = $2, error = $3, steps_done = $4, updated_at = now(), expires_at = now() + make_interval(secs => $5)
    WHERE operation_id = $1 RETURNING *
)
SELECT finished.*, pg_notify('cell_operations', tenant_id || '/' || operation_id) FROM finished
