-- All that changed, in one statement, if its owner ($2) still is; what came from outside since ($3) keeps it awake.
-- Whoever waits for its end is woken by the commit.
WITH held AS (
    UPDATE cell.orchestrations o
    SET state = $4, outcome = $5, updated_at = now(), leased = $6::float8 IS NOT NULL,
        error = coalesce(o.error, $9), steps_done = $10,
        ended_at = CASE WHEN $5::text IS NULL THEN NULL ELSE clock_timestamp() END,
        expires_at = CASE WHEN $5::text IS NULL THEN NULL ELSE clock_timestamp() + make_interval(secs => $11) END,
        wake_at = CASE
            WHEN $5::text IS NOT NULL THEN NULL
            WHEN $6::float8 IS NOT NULL THEN clock_timestamp() + make_interval(secs => $6)
            WHEN o.nudges <> $3 THEN clock_timestamp()
            ELSE clock_timestamp() + make_interval(secs => $7::float8)
        END
    WHERE o.orchestration_id = $1 AND o.fencing = $2 AND o.outcome IS NULL
    RETURNING o.tenant_id, o.orchestration_id, o.outcome
), changed AS (
    INSERT INTO cell.orchestration_steps AS s
        (orchestration_id, step, status, attempts, undo_attempts, deaths, wake_at, output, error, ended_at)
    SELECT held.orchestration_id, c.step, c.status, c.attempts, c.undo_attempts, c.deaths,
           clock_timestamp() + make_interval(secs => c.waits), c.output, c.error,
           CASE WHEN c.status IN ('STARTED', 'UNDOING') THEN NULL ELSE clock_timestamp() END
    FROM held, jsonb_to_recordset($8::jsonb) AS c (step text, status text, attempts integer, undo_attempts integer, deaths integer,
                                                  waits float8, output jsonb, error jsonb)
    ON CONFLICT (tenant_id, orchestration_id, step) DO UPDATE
        SET status = excluded.status, attempts = excluded.attempts, undo_attempts = excluded.undo_attempts,
            deaths = excluded.deaths,
            wake_at = excluded.wake_at, output = excluded.output, error = excluded.error, ended_at = excluded.ended_at
)
SELECT orchestration_id,
       CASE WHEN outcome IS NOT NULL THEN pg_notify('cell_operations', tenant_id || '/' || orchestration_id) END
FROM held
