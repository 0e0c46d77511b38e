-- One reservation, and whether it still holds.
SELECT *, until > clock_timestamp() AS holds FROM directory.reservations WHERE reservation_id = $1
