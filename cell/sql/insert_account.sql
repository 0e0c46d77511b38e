-- No row: the identifier is taken.
INSERT INTO cell.accounts (account_id, display_name, labels) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING RETURNING *
