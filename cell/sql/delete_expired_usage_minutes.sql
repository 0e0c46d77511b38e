-- A bounded bite.
DELETE FROM cell.usage_minutes WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM cell.usage_minutes WHERE minute <= now() - interval '400 days'
    ORDER BY minute LIMIT $1 FOR UPDATE SKIP LOCKED))
