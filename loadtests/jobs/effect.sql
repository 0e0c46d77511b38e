-- What one step does: a row of the tenant's that was not there before.
INSERT INTO cell.accounts (account_id, display_name) VALUES ($1, $2)
