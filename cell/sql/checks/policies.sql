-- Every policy is the tenant's own; exceptions are the relay, which may only look, and the fence's owner.
SELECT finding FROM (
    SELECT format('%I.%I: policy %I lets %s %s rows where %s', schemaname, tablename, policyname,
                  array_to_string(roles, ', '), lower(cmd), coalesce(qual, with_check)) AS finding
    FROM pg_policies
    WHERE permissive = 'PERMISSIVE'
      AND NOT (coalesce(qual, '') = '(tenant_id = current_setting(''app.tenant''::text, true))'
               AND (coalesce(with_check, '') = qual OR cmd = 'SELECT'))
      AND NOT (cmd = 'SELECT' AND roles = '{cell_relay}')
      AND NOT (schemaname = 'cellway' AND roles = '{cell_owner}')
    UNION ALL
    SELECT format('%s: no policy', c.oid::regclass)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname = 'cell'
      AND EXISTS (SELECT FROM pg_attribute a
                  WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
      AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polcmd = '*')
) findings ORDER BY 1
