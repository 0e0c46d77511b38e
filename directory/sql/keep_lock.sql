-- One that is over stays over, also when nobody has taken it yet.
UPDATE directory.locks SET until = clock_timestamp() + make_interval(secs => $3)
WHERE resource = $1 AND lock_id = $2 AND until > clock_timestamp()
RETURNING lock_id
