-- Who holds the lock now, and for how long when it is not kept.
SELECT owner, extract(epoch FROM until - clock_timestamp())::float8 AS left_seconds
FROM directory.locks WHERE resource = $1 AND until > clock_timestamp()
