-- For the operator: a tenant has few keys, and the contract has no pages here.
SELECT * FROM cell.api_keys ORDER BY created_at, key_id LIMIT 1000
