-- A plan by its id.
SELECT * FROM directory.plans WHERE plan_id = $1
