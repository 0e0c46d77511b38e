-- What the tenant has before anything is measured: accounts, and namespaces that were provisioned, spread over them.
SELECT cellway.enter('$tenant_id', $epoch);

INSERT INTO cell.accounts (account_id, display_name)
SELECT 'a' || lpad(a::text, 2, '0'), 'Account ' || a FROM generate_series(0, $accounts - 1) a;

INSERT INTO cell.namespaces (account_id, namespace_id, display_name, labels, state)
SELECT 'a' || lpad((n % $accounts)::text, 2, '0'), 'n' || lpad(n::text, 8, '0'), 'Namespace ' || n,
       '{"env": "prod", "team": "billing"}', 'ACTIVE'
FROM generate_series(0, $namespaces - 1) n;

INSERT INTO cell.allocations (account_id, namespace_id, shard_id, settings, endpoint)
SELECT account_id, namespace_id, 'shard-1', '{"retention_days": 30}', namespace_id || '.namespaces.localhost'
FROM cell.namespaces;
