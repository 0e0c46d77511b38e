-- Of an onboarding that was undone.
DELETE FROM cell.subscriptions
