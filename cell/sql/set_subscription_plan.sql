-- What is paid for holds from now on.
UPDATE cell.subscriptions SET plan = $1, standing = $2, changing = NULL, updated_at = now()
