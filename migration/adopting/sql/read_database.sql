-- Where we are, who we are, and what we may do here.
SELECT current_database() AS name,
       current_setting('server_version_num')::integer AS version_number,
       split_part(current_setting('server_version'), ' ', 1) AS version,
       pg_is_in_recovery() AS standby,
       r.rolname AS role,
       r.rolsuper AS superuser,
       (SELECT o.rolname FROM pg_namespace n JOIN pg_roles o ON o.oid = n.nspowner WHERE n.nspname = 'cellway')
           AS fence_owner,
       to_regclass('cellway.tables') IS NOT NULL AND to_regclass('upgrades.applied') IS NOT NULL AS fenced,
       to_regclass('cellway.staying') IS NOT NULL AS steady
FROM pg_roles r WHERE r.rolname = current_user
