-- A page of the tenants that have work, now or later: in which lanes some is due, or was begun at an epoch before this
-- one, and the epoch at which it may be done here, if it may. From one tenant to the next by the index: a tenant costs the same however much work it has.
WITH RECURSIVE page (tenant_id, place) AS (
    SELECT $1::text COLLATE "C", 0
    UNION ALL
    SELECT (SELECT min(following.tenant_id) FROM (
                (SELECT j.tenant_id FROM cell.jobs j WHERE j.wake_at IS NOT NULL AND j.tenant_id > page.tenant_id
                 ORDER BY j.tenant_id LIMIT 1)
                UNION ALL
                (SELECT o.tenant_id FROM cell.orchestrations o
                 WHERE o.wake_at IS NOT NULL AND o.tenant_id > page.tenant_id ORDER BY o.tenant_id LIMIT 1)
            ) following),
           page.place + 1
    FROM page WHERE page.tenant_id IS NOT NULL AND page.place < $2
)
SELECT page.tenant_id, now_at.epoch, ARRAY(
    SELECT lane FROM unnest('{interactive,bulk}'::text[]) lane
    WHERE EXISTS (SELECT FROM cell.jobs j
                  WHERE j.tenant_id = page.tenant_id AND j.lane = lane.lane AND j.wake_at <= clock_timestamp())
       OR EXISTS (SELECT FROM cell.orchestrations o
                  WHERE o.tenant_id = page.tenant_id AND o.lane = lane.lane AND o.wake_at <= clock_timestamp())
       OR EXISTS (SELECT FROM cell.jobs j
                  WHERE j.tenant_id = page.tenant_id AND j.lane = lane.lane
                    AND j.state = 'running' AND j.claimed_epoch < now_at.epoch)
       OR EXISTS (SELECT FROM cell.orchestrations o
                  WHERE o.tenant_id = page.tenant_id AND o.lane = lane.lane
                    AND o.leased AND o.claimed_epoch < now_at.epoch)
) AS lanes
FROM page, LATERAL (SELECT cell.running_epoch(page.tenant_id) AS epoch) now_at
WHERE place > 0 AND page.tenant_id IS NOT NULL ORDER BY place
