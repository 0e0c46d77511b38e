-- The latest term of a resource.
SELECT resource, number, owner, since FROM directory.terms WHERE resource = $1
