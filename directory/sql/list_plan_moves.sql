-- A page of a plan's moves by number, in some states when asked.
SELECT * FROM directory.plan_moves
WHERE plan_id = $1 AND number > $2 AND (cardinality($4::text[]) = 0 OR state = ANY ($4))
ORDER BY number
LIMIT $3
