-- A trial's end is kept, for the invoice.
UPDATE cell.billing_subscriptions SET plan = $2, state = $3, updated_at = now() WHERE subscription_id = $1
