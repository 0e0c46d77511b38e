-- A page of the audit log; the places in braces are filled with SQL of ours.
SELECT *, {keys} FROM cell.audit_entries WHERE {filter} AND {after} ORDER BY {order} LIMIT {limit}
