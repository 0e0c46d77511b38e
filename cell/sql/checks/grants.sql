-- Nobody touches the fence but by its functions; nobody truncates, adds triggers or refers; PUBLIC has nothing.
SELECT format('%s: %s has %s', c.oid::regclass,
              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END, a.privilege_type) AS finding
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname IN ('cell', 'cellway') AND a.grantee <> c.relowner
  AND (a.grantee = 0 OR n.nspname = 'cellway' AND c.relname <> 'tables' OR a.privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
ORDER BY 1
