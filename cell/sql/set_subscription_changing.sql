-- One operation at a time.
UPDATE cell.subscriptions SET changing = $1, updated_at = now()
