-- Those of the tenant that was entered which nobody is at, the longest due first.
SELECT orchestration_id FROM cell.orchestrations
WHERE lane = $1 AND wake_at <= clock_timestamp() ORDER BY wake_at LIMIT $2
