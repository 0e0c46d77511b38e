-- Rows without a tenant belong to nobody, and stay where they are.
SELECT EXISTS (SELECT FROM {table} WHERE {column} IS NULL)
