-- The subscription of the tenant that was entered.
SELECT * FROM cell.subscriptions
