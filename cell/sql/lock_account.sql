-- Held until the change that depends on it commits.
SELECT * FROM cell.accounts WHERE account_id = $1 FOR UPDATE
