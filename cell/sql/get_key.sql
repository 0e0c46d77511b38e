-- One API key, revoked or not.
SELECT * FROM cell.api_keys WHERE key_id = $1
