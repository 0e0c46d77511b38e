-- Whose rows a table has, by hopping from one to the next in an index.
WITH RECURSIVE hop AS (
    (SELECT {column} AS tenant FROM {table} WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT {column} FROM {table} WHERE {column} > hop.tenant ORDER BY {column} LIMIT 1)
    FROM hop WHERE hop.tenant IS NOT NULL
)
SELECT tenant::text AS tenant FROM hop WHERE tenant IS NOT NULL
