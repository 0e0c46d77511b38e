-- A trial's end is kept, for the invoice; so is what a pause interrupts.
UPDATE cell.billing_subscriptions
SET plan = $2, state = $3, updated_at = now(),
    paused_from = CASE WHEN $3 <> 'PAUSED' THEN NULL WHEN state = 'PAUSED' THEN paused_from ELSE state END
WHERE subscription_id = $1
