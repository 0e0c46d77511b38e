-- In the transaction of what is counted. What was said before under this key counts no second time.
INSERT INTO cell.usage_records (meter, record_key, quantity) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
