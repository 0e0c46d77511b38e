-- Keeps an account from being deleted while a namespace is put into it.
SELECT account_id FROM cell.accounts WHERE account_id = $1 FOR KEY SHARE
