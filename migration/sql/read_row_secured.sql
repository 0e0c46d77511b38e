-- COPY does not write tables whose row security applies to the role.
SELECT t.relation FROM cellway.tables t WHERE row_security_active(to_regclass(t.relation)::oid)
