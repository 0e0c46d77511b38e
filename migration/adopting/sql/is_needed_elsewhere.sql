-- A role on which another database depends stays.
SELECT EXISTS (
    SELECT FROM pg_shdepend d JOIN pg_roles r ON r.oid = d.refobjid
    WHERE d.refclassid = 'pg_authid'::regclass AND r.rolname = $1
      AND d.classid <> 'pg_parameter_acl'::regclass
)
