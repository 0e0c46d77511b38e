-- Fails by its foreign keys while namespaces are in it.
DELETE FROM cell.accounts WHERE account_id = $1
