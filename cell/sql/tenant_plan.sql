-- The plan of the tenant that was entered: of its subscription, or where there is none, as the directory decided.
SELECT coalesce((SELECT plan FROM cell.subscriptions), (SELECT plan FROM cell.tenants)) AS plan
