-- Sessions of this role in transactions of a move (cellway.move_key). Their connections may be all right, and those
-- at the other end stopped, or cut off.
SELECT count(pg_terminate_backend(l.pid))
FROM pg_locks l
JOIN pg_stat_activity a ON a.pid = l.pid AND a.usename = session_user
WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid() AND l.objsubid = 1
  AND l.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('move:' || $1, 0)
