-- Records go into their minutes in one statement: all of it happened, or nothing did. SKIP LOCKED: another worker is at
-- those. In one order, so that two workers at the same minutes wait for each other in turn.
WITH taken AS (
    UPDATE cell.usage_records SET rolled_at = now() WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM cell.usage_records WHERE rolled_at IS NULL LIMIT $1 FOR UPDATE SKIP LOCKED))
    RETURNING meter, at, quantity
), added AS (
    INSERT INTO cell.usage_minutes AS m (meter, minute, quantity)
    SELECT meter, date_trunc('minute', at, 'UTC'), sum(quantity) FROM taken GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (tenant_id, meter, minute) DO UPDATE SET quantity = m.quantity + excluded.quantity
)
SELECT count(*) FROM taken
