-- The next state was looked up in the state table, under the row's lock.
UPDATE cell.namespaces SET state = $3, version = version + 1, updated_at = now()
WHERE account_id = $1 AND namespace_id = $2
