-- A page for the operator of the tenant that was entered, newest first: in a state, of a workflow, or stuck only.
SELECT o.*, clock_timestamp() AS seen_at FROM cell.orchestrations o
WHERE ($1::text IS NULL OR o.operation_state = $1)
  AND ($2::text IS NULL OR o.workflow = $2)
  AND (NOT $3::boolean OR o.outcome IS NULL AND (o.state LIKE '%\_STUCK' OR EXISTS (
          SELECT FROM cell.orchestration_steps s WHERE s.orchestration_id = o.orchestration_id AND s.status = 'STUCK')))
  AND ($4::timestamptz IS NULL OR (o.created_at, o.orchestration_id) < ($4, $5::text COLLATE "C"))
ORDER BY o.created_at DESC, o.orchestration_id DESC LIMIT $6
