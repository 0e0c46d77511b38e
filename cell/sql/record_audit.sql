-- In the transaction of the change. Identifiers begin with the time in microseconds, so they sort by it.
INSERT INTO cell.audit_entries (entry_id, at, actor, action, target, before, after, request_id)
SELECT 'a' || lpad(to_hex((extract(epoch FROM moment.now) * 1000000)::bigint), 14, '0') || '-'
           || right(replace(gen_random_uuid()::text, '-', ''), 16),
       moment.now, $1, $2, $3, $4, $5, $6
FROM (SELECT clock_timestamp() AS now) moment
RETURNING entry_id
