-- A new owner, by a higher number than all before: also of one whose lease ran out, or is of an epoch before this one
-- ($3). SKIP LOCKED: somebody is at it.
UPDATE cell.orchestrations o
SET fencing = o.fencing + 1, leased = true, claimed_epoch = $3, updated_at = now(),
    wake_at = clock_timestamp() + make_interval(secs => $2)
FROM (
    SELECT orchestration_id FROM cell.orchestrations
    WHERE orchestration_id = $1 AND (wake_at <= clock_timestamp() OR leased AND claimed_epoch < $3)
    FOR UPDATE SKIP LOCKED
) due
WHERE o.orchestration_id = due.orchestration_id RETURNING o.*
