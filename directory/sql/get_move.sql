-- One move. Whoever let its lease run out does not carry it any more.
SELECT m.*, CASE WHEN m.lease_until > clock_timestamp() THEN m.owner ELSE '' END AS owner
FROM directory.moves m WHERE m.move_id = $1
