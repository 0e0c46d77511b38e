-- Moves that have not ended, and those that brought a tenant elsewhere within the last $1 seconds.
SELECT tenant_id, source, destination, phase, wish, ended_at IS NOT NULL AS ended
FROM directory.moves WHERE ended_at IS NULL
UNION ALL
SELECT tenant_id, source, destination, phase, wish, true
FROM directory.moves
WHERE ended_at > clock_timestamp() - make_interval(secs => $1) AND phase <> 'ABORTED'
