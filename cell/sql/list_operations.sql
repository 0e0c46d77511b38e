-- A page of operations; the places in braces are filled with SQL of ours.
SELECT *, {keys} FROM cell.orchestrations WHERE {filter} AND {after} ORDER BY {order} LIMIT {limit}
