-- A bounded bite of those that went into their minutes long ago: nobody says them again.
DELETE FROM cell.usage_records WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM cell.usage_records WHERE rolled_at <= now() - interval '2 days'
    ORDER BY rolled_at LIMIT $1 FOR UPDATE SKIP LOCKED))
