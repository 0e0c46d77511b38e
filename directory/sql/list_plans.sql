-- A page of plans, the latest first: of a kind, of a cell, unfinished or finished ones, when asked.
SELECT * FROM directory.plans
WHERE ($1 = '' OR plan_id < $1)
  AND ($3::text IS NULL OR kind = $3)
  AND ($4::text IS NULL OR cell_id = $4)
  AND ($5::boolean IS NULL OR (ended_at IS NULL) = $5)
ORDER BY plan_id DESC
LIMIT $2
