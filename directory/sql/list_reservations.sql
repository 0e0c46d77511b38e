-- A page of reservations, those that are over and not yet removed too.
SELECT *, until > clock_timestamp() AS holds FROM directory.reservations
WHERE reservation_id > $1
ORDER BY reservation_id
LIMIT $2
