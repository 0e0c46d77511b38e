-- What the tenant said that its namespaces hold, all together.
SELECT coalesce(sum(bytes), 0)::bigint FROM cell.namespace_storage
