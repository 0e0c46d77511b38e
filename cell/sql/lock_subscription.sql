-- Whoever decides about it takes turns here: a timer, a customer who pays, an operator.
SELECT * FROM cell.subscriptions FOR UPDATE
