-- The row was locked and its version compared before.
UPDATE cell.accounts SET display_name = $2, labels = $3, version = version + 1, updated_at = now()
WHERE account_id = $1 RETURNING *
