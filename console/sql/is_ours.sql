-- Whether it is a cell of ours, and not an adopted database.
SELECT to_regclass('cell.tenants') IS NOT NULL
