-- Of those who live elsewhere, who still has rows in a table.
SELECT t.tenant FROM unnest($1::text[]) AS t (tenant)
WHERE EXISTS (SELECT FROM {table} WHERE {column} = t.tenant::text::{type}) LIMIT 20
