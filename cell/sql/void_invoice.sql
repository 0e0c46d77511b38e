-- An invoice is never deleted, only declared void.
UPDATE cell.invoices SET state = 'VOID' WHERE invoice_id = $1
