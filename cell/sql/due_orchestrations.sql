-- Those of the tenant that was entered which nobody is at, the longest due first; then those whose owner was at it at an
-- epoch before this one ($3), and can record nothing any more.
(SELECT orchestration_id FROM cell.orchestrations
 WHERE lane = $1 AND wake_at <= clock_timestamp() ORDER BY wake_at LIMIT $2)
UNION ALL
(SELECT orchestration_id FROM cell.orchestrations
 WHERE lane = $1 AND leased AND claimed_epoch < $3 AND wake_at > clock_timestamp() LIMIT $2)
