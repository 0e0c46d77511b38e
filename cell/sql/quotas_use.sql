-- What the tenant that was entered has of what its plan bounds, and the plan: of its subscription, or where there is
-- none, as the directory decided.
SELECT (SELECT count(*) FROM cell.namespaces) AS namespaces,
       (SELECT coalesce(sum(s.bytes), 0) FROM cell.namespace_storage s) AS storage_bytes,
       coalesce((SELECT plan FROM cell.subscriptions), (SELECT plan FROM cell.tenants)) AS plan
