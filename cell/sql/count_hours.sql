-- Hours that have begun are counted, with what is stored then: of at most $1 namespaces at most a day each, so that no
-- statement grows with how long nobody counted. The places in braces are filled with SQL of ours.
WITH moment AS (SELECT clock_timestamp() AS now),
due AS (
    SELECT s.account_id, s.namespace_id, s.bytes, s.due_at,
           least(floor(extract(epoch FROM (SELECT now FROM moment) - s.due_at) / 3600), 23)::integer AS more
    FROM cell.namespace_storage s
    WHERE s.due_at <= (SELECT now FROM moment) AND {whose}
    ORDER BY s.due_at LIMIT $1 FOR UPDATE {locking}
), counted AS (
    INSERT INTO cell.usage_records (meter, record_key, quantity, at)
    SELECT m.meter, d.account_id || '/' || d.namespace_id || '@' || extract(epoch FROM h.hour), m.quantity, h.hour
    FROM due d
    CROSS JOIN LATERAL generate_series(d.due_at, d.due_at + make_interval(hours => d.more), interval '1 hour') h (hour)
    CROSS JOIN LATERAL (VALUES ($2::text, 1::bigint), ($3::text, d.bytes)) m (meter, quantity)
    WHERE m.quantity > 0
    ON CONFLICT DO NOTHING
)
UPDATE cell.namespace_storage s SET due_at = d.due_at + make_interval(hours => d.more + 1)
FROM due d WHERE s.account_id = d.account_id AND s.namespace_id = d.namespace_id
