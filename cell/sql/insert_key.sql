-- The same key again is the same row: its identifier is derived from the seed.
INSERT INTO cell.api_keys (key_id, display_name, secret_hash) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING *
