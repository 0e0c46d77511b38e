-- A page of API keys, revoked ones too; the places in braces are filled with SQL of ours.
SELECT *, {keys} FROM cell.api_keys WHERE {filter} AND {after} ORDER BY {order} LIMIT {limit}
