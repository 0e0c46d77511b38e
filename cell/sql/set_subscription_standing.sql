-- The next standing was looked up in its table, under the row's lock. $3: who changes it from now on.
UPDATE cell.subscriptions SET standing = $1, blocks = $2, changing = $3, updated_at = now()
