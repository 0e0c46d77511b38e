-- Some rows of one table behind a key, readable, without secrets.
SELECT to_jsonb(t) - 'tenant_id' - 'secret_hash' AS content, ARRAY[{keys}]::text[] AS last_key
FROM {table} t WHERE $1::text[] IS NULL OR ({keys}) > ({after}) ORDER BY {keys} LIMIT $2
