-- Moves that a plan has begun, in the phases $2, that the directory would refuse to commit now (`take_place`). Whether
-- such a move was READY $3 seconds ago, with what was copied last.
SELECT p.number, p.move_id, p.tenant_id, p.destination,
       EXISTS (SELECT FROM directory.move_events e
               WHERE e.move_id = m.move_id AND e.phase = 'READY'
                 AND e.at <= clock_timestamp() - make_interval(secs => $3)
                 AND e.number > (SELECT coalesce(max(c.number), 0) FROM directory.move_events c
                                 WHERE c.move_id = m.move_id AND c.phase = 'COPYING')) AS waited
FROM directory.plan_moves p
JOIN directory.moves m ON m.move_id = p.move_id
JOIN directory.cells c ON c.cell_id = p.destination
JOIN directory.tenants t ON t.tenant_id = p.tenant_id
WHERE p.plan_id = $1 AND p.state = 'begun' AND m.phase = ANY ($2::text[]) AND m.wish <> 'cancel'
  AND NOT (c.state = 'open' AND c.tenants < c.capacity_tenants
           AND (t.region IS NULL OR t.region = c.region) AND t.tags <@ c.tags AND t.dedicated_to = c.dedicated_to)
ORDER BY p.number
