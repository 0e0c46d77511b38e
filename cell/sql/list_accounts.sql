-- A page; the places in braces are filled with SQL of ours, every value of the client's is a parameter.
SELECT *, {keys} FROM cell.accounts WHERE {filter} AND {after} ORDER BY {order} LIMIT {limit}
