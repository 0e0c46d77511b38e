-- The steps of a page of orchestrations.
SELECT s.*, CASE WHEN s.wake_at IS NOT NULL
           THEN greatest(0, extract(epoch FROM s.wake_at - clock_timestamp()))::float8 END AS waits_seconds
FROM cell.orchestration_steps s WHERE s.orchestration_id = ANY ($1::text[]) ORDER BY s.begun_at, s.step
