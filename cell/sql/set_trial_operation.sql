-- Who is to be told when it is paid for.
UPDATE cell.subscriptions SET trial_operation = $1, updated_at = now()
