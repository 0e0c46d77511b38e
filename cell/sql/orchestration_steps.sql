-- How far an orchestration is; how long a step still waits is told by the database's clock, the only one that counts.
SELECT s.*, CASE WHEN s.wake_at IS NOT NULL
           THEN greatest(0, extract(epoch FROM s.wake_at - clock_timestamp()))::float8 END AS waits_seconds
FROM cell.orchestration_steps s WHERE s.orchestration_id = $1 ORDER BY s.begun_at, s.step
