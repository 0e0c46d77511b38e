-- Who led each resource last, for operators.
SELECT resource, number, owner, since FROM directory.terms ORDER BY resource
