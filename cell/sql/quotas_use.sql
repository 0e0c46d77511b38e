-- What the tenant that was entered has of what its plan bounds.
SELECT (SELECT count(*) FROM cell.namespaces) AS namespaces,
       (SELECT coalesce(sum(s.bytes), 0) FROM cell.namespace_storage s) AS storage_bytes
