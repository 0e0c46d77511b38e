-- Only one tenant gets what is reserved, and only while it holds. After `take_place`, under whose lock of the cell
-- nobody can be given the room of a reservation that ends meanwhile.
DELETE FROM directory.reservations WHERE reservation_id = $1 AND until > clock_timestamp() RETURNING cell_id, takes
