-- The mover's role, if it is there; made by us is what our remark on it says.
SELECT r.rolsuper OR r.rolbypassrls AS past_row_security,
       r.rolcanlogin AS login,
       shobj_description(r.oid, 'pg_authid') IS NOT DISTINCT FROM $2 AS made
FROM pg_roles r WHERE r.rolname = $1
