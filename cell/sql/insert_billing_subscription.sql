-- What a customer is charged for; a trial ends by the database's clock.
INSERT INTO cell.billing_subscriptions (subscription_id, plan, state, trial_ends_at)
VALUES ($1, $2, CASE WHEN $3::float8 IS NULL THEN 'ACTIVE' ELSE 'TRIAL' END, now() + make_interval(secs => $3))
RETURNING trial_ends_at
