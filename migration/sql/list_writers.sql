-- Who is in a transaction that holds a tenant's lock (cellway.lock_key).
SELECT l.pid, coalesce(a.usename, '') AS usename, coalesce(a.application_name, '') AS application_name
FROM pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('fence:' || $1, 0)
ORDER BY l.pid
LIMIT $2
