-- One entry of the tenant that was entered.
SELECT * FROM cell.audit_entries WHERE entry_id = $1
