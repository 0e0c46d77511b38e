-- One account of the tenant that was entered.
SELECT * FROM cell.accounts WHERE account_id = $1
