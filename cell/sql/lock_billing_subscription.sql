-- The one that is charged now; held until it has changed.
SELECT * FROM cell.billing_subscriptions WHERE state <> 'CANCELLED' ORDER BY created_at, subscription_id LIMIT 1 FOR UPDATE
