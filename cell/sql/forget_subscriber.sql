-- Of who has left, only what was charged is kept.
UPDATE cell.subscriptions SET email = NULL, updated_at = now()
