-- The row was locked and its version compared before.
UPDATE cell.namespaces SET display_name = $3, labels = $4, version = version + 1, updated_at = now()
WHERE account_id = $1 AND namespace_id = $2
