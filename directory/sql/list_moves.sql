-- A page of moves by id: of a tenant, of a cell (either way), unfinished or finished ones, when asked.
-- Whoever let a lease run out does not carry the move any more.
SELECT m.*, CASE WHEN m.lease_until > clock_timestamp() THEN m.owner ELSE '' END AS owner
FROM directory.moves m
WHERE move_id > $1
  AND ($3::text IS NULL OR tenant_id = $3)
  AND ($4::text IS NULL OR source = $4 OR destination = $4)
  AND ($5::boolean IS NULL OR (ended_at IS NULL) = $5)
ORDER BY move_id
LIMIT $2
