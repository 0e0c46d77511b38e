-- By who has a better right to it: whoever held it finds it lost.
INSERT INTO directory.locks (resource, owner, lock_id, until)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
ON CONFLICT (resource) DO UPDATE SET owner = excluded.owner, lock_id = excluded.lock_id, until = excluded.until
