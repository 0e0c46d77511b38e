-- Somebody gives it up.
DELETE FROM directory.reservations WHERE reservation_id = $1 RETURNING reservation_id
