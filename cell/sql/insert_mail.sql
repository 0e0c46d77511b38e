-- A mail under its key; known already when there is no row.
INSERT INTO cell.mails (mail_key, message_id, recipient, subject, body, state) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT DO NOTHING RETURNING mail_key
