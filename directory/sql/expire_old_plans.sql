-- So many that nobody has approved are enough; whoever proposes one more has the oldest expire, and what they would
-- have moved is dropped.
WITH old AS (
    SELECT plan_id FROM directory.plans WHERE state = 'PROPOSED' ORDER BY plan_id DESC OFFSET $1
), expired AS (
    UPDATE directory.plans p SET state = 'EXPIRED', ended_at = clock_timestamp(), updated_at = clock_timestamp()
    FROM old WHERE p.plan_id = old.plan_id AND p.state = 'PROPOSED'
    RETURNING p.plan_id
)
UPDATE directory.plan_moves m SET state = 'dropped'
FROM expired e WHERE m.plan_id = e.plan_id AND m.state = 'waiting'
