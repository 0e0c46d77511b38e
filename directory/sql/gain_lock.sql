-- Free, or its holder has been silent for too long.
INSERT INTO directory.locks (resource, owner, lock_id, until)
VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
ON CONFLICT (resource) DO UPDATE SET owner = excluded.owner, lock_id = excluded.lock_id, until = excluded.until
    WHERE locks.until <= clock_timestamp()
RETURNING lock_id
