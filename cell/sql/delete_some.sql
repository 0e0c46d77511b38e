-- A bounded bite of one table of the tenant that was entered, so that no transaction grows with the tenant.
DELETE FROM {table} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {table} LIMIT $1))
