-- The operation $1 changes it no more; another one's turn is left alone.
UPDATE cell.subscriptions SET changing = NULL, updated_at = now() WHERE changing = $1
