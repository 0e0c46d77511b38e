-- Held until the change that depends on it commits.
SELECT * FROM cell.api_keys WHERE key_id = $1 FOR UPDATE
