-- Revoking again keeps the first time.
UPDATE cell.api_keys SET revoked_at = now(), updated_at = now(), version = version + 1
WHERE key_id = $1 AND revoked_at IS NULL RETURNING *
