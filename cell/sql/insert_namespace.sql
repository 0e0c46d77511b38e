-- It begins as PROVISIONING; a job does the rest. No row: the identifier is taken.
INSERT INTO cell.namespaces (account_id, namespace_id, display_name, labels, state) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING RETURNING *
