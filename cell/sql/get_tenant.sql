-- The tenant that was entered.
SELECT * FROM cell.tenants
