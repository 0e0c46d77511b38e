-- What is charged; its lines are written once.
INSERT INTO cell.invoices (invoice_id, subscription_id, kind, state, lines) VALUES ($1, $2, $3, 'ISSUED', $4)
