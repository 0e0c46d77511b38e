-- The plan of the tenant that was entered.
SELECT plan FROM cell.tenants
