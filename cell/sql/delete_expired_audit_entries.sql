-- A bounded bite, by the function that removes old ones alone: who serves tenants may remove no entry itself.
SELECT cell.expire_audit($1)
