-- The first upgrade that a mover needs and that was not applied yet, told by what it makes: whose roles are least may
-- not read what was applied. Null: none is missing.
SELECT min(number)
FROM (VALUES (4, 'moves', 'move_id'), (8, 'tenants', 'dedicated_to')) AS needed (number, relation, made)
WHERE NOT EXISTS (
    SELECT FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = to_regnamespace('directory') AND c.relname = relation AND a.attname = made
)
