-- Nobody has approved of them in time: what they would have moved is dropped.
WITH expired AS (
    UPDATE directory.plans SET state = 'EXPIRED', ended_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE state = 'PROPOSED' AND expires_at <= clock_timestamp()
    RETURNING *
), dropped AS (
    UPDATE directory.plan_moves m SET state = 'dropped'
    FROM expired e WHERE m.plan_id = e.plan_id AND m.state = 'waiting'
)
SELECT * FROM expired
