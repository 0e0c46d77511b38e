-- A view reads with its owner's rights unless it says otherwise, and a materialised one keeps everybody's rows.
SELECT format('%s: %s', c.oid::regclass,
              CASE c.relkind WHEN 'm' THEN 'a materialised view' ELSE 'not security_invoker' END) AS finding
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND (c.relkind = 'm'
       OR (c.relkind = 'v'
           AND NOT EXISTS (SELECT FROM pg_options_to_table(c.reloptions) o
                           WHERE o.option_name = 'security_invoker' AND o.option_value::boolean)))
ORDER BY 1
