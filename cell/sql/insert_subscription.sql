-- No row: the tenant has one.
INSERT INTO cell.subscriptions (plan, standing, email, trial_ends_at) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING *
