-- The roles that programs log in with are plain, own nothing, create nothing, and belong to no other role.
-- Movers alone go past row security, under which there is no COPY.
SELECT finding FROM (
    SELECT format('%I is superuser, or may bypass row security, create roles or databases, or replicate', r.rolname)
        AS finding
    FROM pg_roles r
    WHERE r.rolname IN ('cell_app', 'cell_control', 'cell_relay', 'cell_mover')
      AND (r.rolsuper OR r.rolbypassrls AND r.rolname <> 'cell_mover' OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication)
    UNION ALL
    SELECT 'cell_owner is superuser or may bypass row security'
    FROM pg_roles r WHERE r.rolname = 'cell_owner' AND (r.rolsuper OR r.rolbypassrls)
    UNION ALL
    SELECT format('%I is a member of %I', m.member::regrole, m.roleid::regrole)
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member
    WHERE r.rolname IN ('cell_app', 'cell_control', 'cell_relay', 'cell_mover')
    UNION ALL
    SELECT format('%I owns %s', r.rolname, c.oid::regclass)
    FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
    WHERE r.rolname IN ('cell_app', 'cell_control', 'cell_relay', 'cell_mover')
    UNION ALL
    SELECT format('%I owns function %s', r.rolname, p.oid::regprocedure)
    FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
    WHERE r.rolname IN ('cell_app', 'cell_control', 'cell_relay', 'cell_mover')
    UNION ALL
    SELECT format('%I may create in schema %I', r.rolname, n.nspname)
    FROM pg_roles r, pg_namespace n
    WHERE r.rolname IN ('cell_app', 'cell_control', 'cell_relay', 'cell_mover') AND NOT r.rolsuper
      AND n.nspname NOT LIKE 'pg\_%' AND has_schema_privilege(r.oid, n.oid, 'CREATE')
) findings ORDER BY 1
