-- The last one of a workflow.
SELECT * FROM cell.orchestrations WHERE workflow = $1 ORDER BY created_at DESC, orchestration_id DESC LIMIT 1
