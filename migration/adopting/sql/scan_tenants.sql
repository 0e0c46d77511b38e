-- Whose rows a table has, where no index tells.
SELECT DISTINCT {column}::text AS tenant FROM {table} WHERE {column} IS NOT NULL
