-- Those that are over take no room already; they go, the oldest first, and at most $1 at once.
DELETE FROM directory.reservations
WHERE reservation_id IN (
    SELECT reservation_id FROM directory.reservations WHERE until <= clock_timestamp() ORDER BY until LIMIT $1
)
