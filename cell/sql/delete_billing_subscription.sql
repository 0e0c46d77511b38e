-- Of an onboarding that was undone: nothing was charged yet.
DELETE FROM cell.billing_subscriptions WHERE subscription_id = $1
